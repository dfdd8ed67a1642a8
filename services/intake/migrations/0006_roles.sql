-- What the service's own role may do with these tables: `append-only` is read by libs/common/postgres/db_grants.py.
COMMENT ON TABLE timeline IS 'append-only: what happened to an issue';
COMMENT ON TABLE decisions IS 'append-only: what staff decided, and comment';
COMMENT ON TABLE desk_acts IS 'append-only: what staff did at the desk, and comment';
COMMENT ON TABLE buyers_warned IS 'append-only: who was warned';
