-- What the service's own role may do with these tables: `append-only` and `derived` are read by libs/common/postgres/db_grants.py.
COMMENT ON TABLE entries IS 'append-only: a wrong entry is answered by another one';
COMMENT ON TABLE refunds IS 'append-only: money that went back';
COMMENT ON TABLE exposures IS 'append-only: who was drawn for which arm';
COMMENT ON TABLE lots IS 'derived: where the points of each grant are, kept by a trigger on entries';
COMMENT ON TABLE balances IS 'derived: where each customer''s points are, kept by a trigger on entries';

-- The sums are written with the rights of their owner, so that nobody else needs any.
ALTER FUNCTION keep_sums() SECURITY DEFINER;
ALTER FUNCTION keep_sums() SET search_path = public, pg_temp;
