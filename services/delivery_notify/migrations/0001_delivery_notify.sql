-- Conversation state, one row per order. It is read and written as a whole, so the document is `json`, not `jsonb`; the
-- free space in each page keeps updates heap-only.
CREATE TABLE conversations (
    key         text   PRIMARY KEY,
    version     bigint NOT NULL,
    body        json   NOT NULL,
    customer_id text
) WITH (fillfactor = 50);
CREATE INDEX conversations_of_customer ON conversations (customer_id);

-- Personal data: the contact of an order's customer, as far as the shop has one, and the address requested on the
-- choice page (by which answer). `stated_at` holds the shop's time of each field, `placed_digest` recognizes an order
-- that is sent again, `recipient` is the receiver of a gift.
CREATE TABLE contacts (
    order_id            text PRIMARY KEY,
    customer_id         text NOT NULL,
    name                text,
    email               text,
    language            text CHECK (language IN ('ja', 'en')),
    phone               text,
    placed_digest       text,
    stated_at           jsonb NOT NULL DEFAULT '{}',
    recipient           jsonb,
    address_choice_id   uuid,
    requested_address   jsonb,
    last_purchased_item text,
    placed_at           timestamptz
);
CREATE INDEX contacts_of_customer ON contacts (customer_id);
CREATE INDEX contacts_placed_at ON contacts USING brin (placed_at);

-- Personal data: contact preferences of a customer; they override the contact of an order. `channels` in order of
-- preference; other channels come after them.
CREATE TABLE preferences (
    customer_id  text        PRIMARY KEY,
    channels     text[]      NOT NULL DEFAULT '{}',
    language     text        CHECK (language IN ('ja', 'en')),
    line_user_id text,
    phone        text,
    changed_at   timestamptz NOT NULL
);

-- Addresses that must not be written to any more, as digests.
CREATE TABLE suppressed_addresses (
    channel       text        NOT NULL,
    digest        bytea       NOT NULL,
    cause         text        NOT NULL,
    suppressed_at timestamptz NOT NULL,
    PRIMARY KEY (channel, digest)
);

-- One message to one customer about one fact. `due_at` and `contact_by` are shop time; `wait_until` (lease and backoff)
-- is wall-clock time, so that a faster shop clock never shortens a lease. `sequence` is the order of creation, in which
-- the notices of an order are sent: rows of one order are written under the lock of its conversation.
-- `started_channel` is the channel of the first attempt (null: none, or by mail), `failed_channels` those that failed
-- permanently, `batched` marks a notice that may be sent in one message with others, `batch_id` is that message.
-- `address_digest` is the digest of the mail address that it was sent to, for bounces of this message.
-- `announces` and `supersedes` are promises by subject, id and version, as in `notice.sent`.
CREATE TABLE notices (
    notice_id       uuid        PRIMARY KEY,
    order_id        text        NOT NULL,
    customer_id     text        NOT NULL,
    issue_id        uuid,
    kind            text        NOT NULL,
    facts           jsonb       NOT NULL,
    promised_date   date,
    status          text        NOT NULL DEFAULT 'pending'
                    CHECK (status IN ('pending', 'sending', 'sent', 'failed', 'suppressed')),
    made_at         timestamptz NOT NULL,
    due_at          timestamptz NOT NULL,
    contact_by      timestamptz NOT NULL,
    withdrawn_cause text,
    wait_until      timestamptz,
    attempts        integer     NOT NULL DEFAULT 0,
    language        text,
    channel         text,
    cause           text,
    settled_at      timestamptz,
    trace           text,
    sequence        bigint      GENERATED ALWAYS AS IDENTITY,
    started_channel text,
    failed_channels text[],
    batched         boolean     NOT NULL DEFAULT false,
    batch_id        uuid,
    address_digest  bytea,
    announces       jsonb       NOT NULL DEFAULT '[]',
    supersedes      jsonb       NOT NULL DEFAULT '[]'
) WITH (fillfactor = 50);
-- By `settled_at` and not by `status`: a claim then changes no indexed column (a heap-only update).
CREATE INDEX notices_to_send ON notices (due_at, sequence) WHERE settled_at IS NULL;
CREATE INDEX notices_of_order ON notices (order_id, sequence);
CREATE INDEX notices_of_customer ON notices (customer_id, settled_at) WHERE settled_at IS NOT NULL;
-- A batch sent again after a crash must consist of the same notices.
CREATE INDEX notices_of_batch ON notices (batch_id) WHERE batch_id IS NOT NULL;
CREATE INDEX notices_made_at ON notices USING brin (made_at);

-- Notices for staff, sent once on the staff channel. Facts hold no personal data.
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

-- Promise ledger: every date promised for a line or a replacement.
CREATE TABLE promises (
    order_id    text        NOT NULL,
    subject     text        NOT NULL CHECK (subject IN ('line', 'delivery', 'replacement')),
    subject_id  text        NOT NULL,
    version     integer     NOT NULL,
    day         date        NOT NULL,
    source      text        NOT NULL,
    promised_at timestamptz NOT NULL,
    PRIMARY KEY (order_id, subject, subject_id, version)
);

-- When each promise was announced to the customer, and by which notice or other surface of the shop.
CREATE TABLE promise_notifications (
    order_id    text        NOT NULL,
    subject     text        NOT NULL,
    subject_id  text        NOT NULL,
    version     integer     NOT NULL,
    surface     text        NOT NULL,
    notice_id   uuid,
    notified_at timestamptz NOT NULL,
    UNIQUE NULLS NOT DISTINCT (order_id, subject, subject_id, version, notice_id)
);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%: rows are append-only; add a new version instead', TG_TABLE_NAME;
END $$;
CREATE TRIGGER promises_append_only BEFORE UPDATE OR DELETE ON promises
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER promise_notifications_append_only BEFORE UPDATE OR DELETE ON promise_notifications
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Grants of the service's role: libs/common/postgres/db_grants.py reads `append-only`.
COMMENT ON TABLE promises IS 'append-only: every date promised to a customer';
COMMENT ON TABLE promise_notifications IS 'append-only: when each promise was announced, and where';
