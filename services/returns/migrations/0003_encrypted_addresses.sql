-- `sealed` holds address, telephone number and their digest, encrypted; their own columns are empty then.
ALTER TABLE order_snapshots ADD COLUMN sealed bytea;
