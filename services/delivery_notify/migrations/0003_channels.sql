-- How a customer wants to be reached, whatever an order says: personal data, beside `contacts`. `channels` in order of
-- preference; those that are not named come after them.
CREATE TABLE preferences (
    customer_id  text        PRIMARY KEY,
    channels     text[]      NOT NULL DEFAULT '{}',
    language     text        CHECK (language IN ('ja', 'en')),
    line_user_id text,
    phone        text,
    changed_at   timestamptz NOT NULL
);
ALTER TABLE contacts ADD COLUMN phone text;

-- Addresses that may not be written to any more: of whom it is enough to know the digest.
CREATE TABLE suppressed_addresses (
    channel       text        NOT NULL,
    digest        bytea       NOT NULL,
    cause         text        NOT NULL,
    suppressed_at timestamptz NOT NULL,
    PRIMARY KEY (channel, digest)
);

-- `way` is the channel that a notice was begun on (null: not begun, or by mail), `tried` those that failed for good,
-- `held` that a cap keeps it back, `together` the message in which it leaves with others that were kept back.
ALTER TABLE notices ADD COLUMN way text, ADD COLUMN tried text[], ADD COLUMN held boolean NOT NULL DEFAULT false,
    ADD COLUMN together uuid;
CREATE INDEX notices_of_customer ON notices (customer_id, settled_at) WHERE settled_at IS NOT NULL;

-- What needs a human, told once on the staff's own channel. Facts hold no personal data.
CREATE TABLE staff_notices (
    staff_notice_id uuid        PRIMARY KEY,
    kind            text        NOT NULL,
    facts           jsonb       NOT NULL,
    status          text        NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'sending', 'sent', 'failed')),
    made_at         timestamptz NOT NULL,
    wait_until      timestamptz,
    attempts        integer     NOT NULL DEFAULT 0,
    channel         text,
    cause           text,
    settled_at      timestamptz
);
CREATE INDEX staff_notices_to_send ON staff_notices (made_at) WHERE settled_at IS NULL;
