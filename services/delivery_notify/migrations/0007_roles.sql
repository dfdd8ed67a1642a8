-- What the service's own role may do with these tables: `append-only` is read by libs/common/postgres/db_grants.py.
COMMENT ON TABLE promises IS 'append-only: a date that was promised stays written';
COMMENT ON TABLE tellings IS 'append-only: what a customer was told, and when';
