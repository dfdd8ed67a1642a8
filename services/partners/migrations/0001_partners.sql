-- Position of the newest event of the feed. Positions are given under an advisory lock, so that they become visible in
-- their order and a reader behind a position misses nothing.
CREATE TABLE feed_head (
    is_only  boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    position bigint  NOT NULL
);

-- Events for partners, each once. `value` is the whole event as JSON, encrypted where it is personal.
CREATE TABLE feed (
    position    bigint      PRIMARY KEY,
    topic       text        NOT NULL,
    type        text        NOT NULL,
    event_id    text        NOT NULL,
    key         text        NOT NULL,
    value       bytea       NOT NULL,
    is_personal boolean     NOT NULL,
    trace       text,
    added_at    timestamptz NOT NULL
);
CREATE INDEX feed_added_at ON feed (is_personal, added_at);

-- The partners that each event is addressed to.
CREATE TABLE addressed (
    partner  text   NOT NULL,
    position bigint NOT NULL REFERENCES feed ON DELETE CASCADE,
    PRIMARY KEY (partner, position)
);
CREATE INDEX addressed_position ON addressed (position);

-- How far each partner has acknowledged the events that it fetches, and how far they were deleted after retention.
CREATE TABLE partner_cursors (
    partner      text   PRIMARY KEY,
    acknowledged bigint NOT NULL DEFAULT 0,
    deleted      bigint NOT NULL DEFAULT 0
);

-- Ids that a partner was given, or an order that a storefront placed: it may report about these.
CREATE TABLE given (
    role     text        NOT NULL,
    kind     text        NOT NULL,
    id       text        NOT NULL,
    partner  text        NOT NULL,
    key      text        NOT NULL,
    given_at timestamptz NOT NULL,
    PRIMARY KEY (role, kind, id, partner)
);
CREATE INDEX given_given_at ON given USING brin (given_at);
