-- Tables of the common library, in the database of every service.

-- Consumed events: one digest of consumer, topic, source and id per event, and one of its payload; kept longer than any
-- topic keeps records.
CREATE TABLE inbox (
    event_key   bytea       PRIMARY KEY,
    content     integer     NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX inbox_received_at ON inbox USING brin (received_at);

-- Events not acknowledged by Kafka yet, in publishing order. A queue whose rows are deleted, so it is vacuumed often.
CREATE TABLE outbox (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic      text        NOT NULL,
    key        text,
    value      bytea,
    trace      text,
    headers    jsonb,
    created_at timestamptz NOT NULL DEFAULT now()
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);

-- Durable timers: one row per state and timer name.
CREATE TABLE timers (
    aggregate text        NOT NULL,
    key       text        NOT NULL,
    name      text        NOT NULL,
    due_at    timestamptz NOT NULL,
    trace     text,
    PRIMARY KEY (aggregate, key, name)
);
CREATE INDEX timers_due ON timers (aggregate, due_at);

-- Full records that could not be processed; a row with `blocks` holds back later events of its key.
CREATE TABLE dead_letters (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    aggregate   text        NOT NULL,
    topic       text        NOT NULL,
    "partition" integer     NOT NULL,
    "offset"    bigint      NOT NULL,
    written_at  timestamptz NOT NULL,
    key         text,
    value       bytea,
    headers     jsonb       NOT NULL,
    reason      text        NOT NULL CHECK (reason IN (
        'undecodable', 'unknown_type', 'forbidden_source', 'id_reused', 'failed', 'blocked')),
    error       text        NOT NULL,
    blocks      boolean     NOT NULL,
    state       text        NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'replaying', 'replayed', 'discarded')),
    attempts    integer     NOT NULL DEFAULT 1,
    stored_at   timestamptz NOT NULL DEFAULT now(),
    settled_at  timestamptz,
    settled_by  text,
    UNIQUE (aggregate, topic, "partition", "offset", written_at)
);
CREATE INDEX dead_letters_blocking ON dead_letters (key, aggregate, topic) WHERE blocks AND state IN ('open', 'replaying');
CREATE INDEX dead_letters_open ON dead_letters (id) WHERE state IN ('open', 'replaying');

-- Answers of writing HTTP calls, replayed for a repeated Idempotency-Key.
CREATE TABLE idempotency (
    caller      text        NOT NULL,
    key         text        NOT NULL,
    fingerprint bytea       NOT NULL,
    status      integer     NOT NULL,
    body        jsonb       NOT NULL,
    answered_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (caller, key)
);
CREATE INDEX idempotency_answered_at ON idempotency USING brin (answered_at);

-- Erased customers. Later events with data from before `until` are redacted.
CREATE TABLE erasures (
    customer_id text        PRIMARY KEY,
    erasure_id  uuid        NOT NULL,
    until       timestamptz NOT NULL,
    passes      integer     NOT NULL
);

-- Former accounts of merged customers, and the account that remains of each, also after a chain of merges.
CREATE TABLE merged_customers (
    former_id   text    PRIMARY KEY,
    customer_id text    NOT NULL,
    passes      integer NOT NULL
);
CREATE INDEX merged_customers_of_customer ON merged_customers (customer_id);
