-- What is known of each order: one document, see services/intake/domain/orders.py.
CREATE TABLE orders (
    key     text   PRIMARY KEY,
    version bigint NOT NULL,
    body    jsonb  NOT NULL
);

-- Who holds which piece. The primary key is the promise that each piece has one live entitlement at most; a row is
-- deleted when its issue is cancelled or rejected. There is no index on issue_id: rows are always found by their order.
CREATE TABLE entitlements (
    order_id text    NOT NULL,
    line_id  text    NOT NULL,
    unit     integer NOT NULL CHECK (unit >= 1),
    issue_id uuid    NOT NULL,
    PRIMARY KEY (order_id, line_id, unit)
);

-- One row per report that got an id. `description` is the customer's own text: it stays in this table.
CREATE TABLE issues (
    issue_id     uuid        PRIMARY KEY,
    order_id     text        NOT NULL,
    customer_id  text        NOT NULL,
    reason       text        NOT NULL,
    lines        jsonb       NOT NULL,
    description  text,
    reference    text,
    refusal_code text,
    reported_at  timestamptz NOT NULL
);
CREATE INDEX issues_order ON issues (order_id);

-- What happened to an issue, as the topics told it. `n` keeps the order of arrival where two facts have the same time.
CREATE TABLE timeline (
    issue_id uuid        NOT NULL,
    event_id text        NOT NULL,
    n        bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    at       timestamptz NOT NULL,
    type     text        NOT NULL,
    data     jsonb       NOT NULL,
    PRIMARY KEY (issue_id, event_id)
);

-- Photos by the hash of their content: the same photo twice is one row. The bytes lie under EVIDENCE_DIR.
CREATE TABLE evidence (
    issue_id   uuid        NOT NULL REFERENCES issues,
    sha256     text        NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    media_type text        NOT NULL,
    size_bytes integer     NOT NULL CHECK (size_bytes > 0),
    width      integer     NOT NULL,
    height     integer     NOT NULL,
    stored_at  timestamptz NOT NULL,
    PRIMARY KEY (issue_id, sha256)
);
