-- What we and one customer have said to each other about one order.
CREATE TABLE conversations (
    key     text   PRIMARY KEY,
    version bigint NOT NULL,
    body    jsonb  NOT NULL
);

-- The only personal data of this service.
CREATE TABLE contacts (
    order_id    text PRIMARY KEY,
    customer_id text NOT NULL,
    name        text NOT NULL,
    email       text NOT NULL,
    language    text NOT NULL CHECK (language IN ('ja', 'en'))
);

-- One message to one customer about one fact. `due_at` and `contact_by` are moments of the shop's clock; `wait_until`
-- (lease and backoff) is one of the wall clock, so that a faster shop clock never shortens a lease.
CREATE TABLE notices (
    notice_id     uuid        PRIMARY KEY,
    order_id      text        NOT NULL,
    customer_id   text        NOT NULL,
    issue_id      uuid,
    kind          text        NOT NULL,
    facts         jsonb       NOT NULL,
    promised_date date,
    status        text        NOT NULL DEFAULT 'pending'
                  CHECK (status IN ('pending', 'sending', 'sent', 'failed', 'suppressed')),
    made_at       timestamptz NOT NULL,
    due_at        timestamptz NOT NULL,
    contact_by    timestamptz NOT NULL,
    withdrawn     text,
    wait_until    timestamptz,
    attempts      integer     NOT NULL DEFAULT 0,
    language      text,
    channel       text,
    cause         text,
    settled_at    timestamptz,
    traceparent   text
) WITH (fillfactor = 80);
CREATE INDEX notices_to_send ON notices (due_at) WHERE status IN ('pending', 'sending');
CREATE INDEX notices_of_order ON notices (order_id, made_at);

-- Every date ever promised, for a line or a replacement. Rows are only ever added.
CREATE TABLE promises (
    order_id    text        NOT NULL,
    subject     text        NOT NULL CHECK (subject IN ('line', 'replacement')),
    subject_id  text        NOT NULL,
    version     integer     NOT NULL,
    ship_date   date        NOT NULL,
    source      text        NOT NULL,
    promised_at timestamptz NOT NULL,
    PRIMARY KEY (order_id, subject, subject_id, version)
);

CREATE FUNCTION promises_are_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'promises: rows are only ever added, a promise that was made stays written';
END $$;
CREATE TRIGGER promises_are_kept BEFORE UPDATE OR DELETE ON promises
    FOR EACH STATEMENT EXECUTE FUNCTION promises_are_kept();
