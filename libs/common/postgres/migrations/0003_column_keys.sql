-- Keys under which personal columns are encrypted, by their ids: a process does not start without one of them.
-- `lookup_key` is the key of the digests by which addresses are found, encrypted under the key of its row.
CREATE TABLE column_keys (
    key_id        bytea       PRIMARY KEY,
    lookup_key    bytea       NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT now()
);
