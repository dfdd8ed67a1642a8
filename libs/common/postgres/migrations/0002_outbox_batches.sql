-- An outbox row holds all records of one write, in parallel arrays: Postgres compresses them together, and a batch costs
-- one insert and one delete. Rows of the previous release, with one record each, are still published.
ALTER TABLE outbox ALTER COLUMN topic DROP NOT NULL;
ALTER TABLE outbox ADD COLUMN topics text[];
ALTER TABLE outbox ADD COLUMN keys text[];
ALTER TABLE outbox ADD COLUMN payloads bytea[];
ALTER TABLE outbox ADD COLUMN traces text[];
ALTER TABLE outbox ADD COLUMN record_headers jsonb[];
ALTER TABLE outbox ADD CONSTRAINT outbox_one_form CHECK ((topic IS NULL) <> (topics IS NULL));

-- Records that wait in the outbox, in publishing order.
CREATE VIEW outbox_records AS
    SELECT o.id, r.n, r.topic, r.key, r.value, r.trace, r.headers, o.created_at
    FROM outbox o CROSS JOIN LATERAL unnest(o.topics, o.keys, o.payloads, o.traces, o.record_headers) WITH ORDINALITY
        AS r (topic, key, value, trace, headers, n)
    UNION ALL
    SELECT id, 1, topic, key, value, trace, headers, created_at FROM outbox WHERE topic IS NOT NULL
    ORDER BY 1, 2;
