-- Cases, one per accepted issue. A case is read and written whole and never searched inside, so its body is text: it is
-- neither parsed on its way in nor printed on its way out. The other columns are derived from the body, written with it
-- and never read back. With half of each page free, and no index on a column that changes often, most updates are HOT.
CREATE TABLE cases (
    key         text    PRIMARY KEY,
    version     bigint  NOT NULL,
    body        text    NOT NULL,
    status      text    NOT NULL,
    in_review   boolean NOT NULL,
    order_id    text    NOT NULL,
    customer_id text    NOT NULL,
    is_open     boolean NOT NULL
) WITH (fillfactor = 50);

CREATE INDEX cases_in_review ON cases (key) WHERE in_review;
CREATE INDEX cases_open ON cases (key) WHERE is_open;
CREATE INDEX cases_order ON cases (order_id);
CREATE INDEX cases_customer ON cases (customer_id);

-- Exposure and history of each customer. A row is locked together with the cases of its customer, so that two cases
-- decided at once see each other.
CREATE TABLE customers (
    key     text   PRIMARY KEY,
    version bigint NOT NULL,
    body    jsonb  NOT NULL
) WITH (fillfactor = 80);

-- Counts of the warehouse that no case has taken yet: shown to staff until one does.
CREATE TABLE kept_counts (
    count_id       text        PRIMARY KEY,
    issue_id       text,
    order_id       text,
    from_issue     text,
    body           jsonb       NOT NULL,
    is_last_choice boolean     NOT NULL DEFAULT false,
    kept_at        timestamptz NOT NULL,
    matched_at     timestamptz
);

CREATE INDEX kept_counts_open ON kept_counts (issue_id) WHERE matched_at IS NULL;

-- Money of each order, and what its shop and its payment provider did with it. No personal data.
CREATE TABLE order_ledgers (
    key     text   PRIMARY KEY,
    version bigint NOT NULL,
    body    jsonb  NOT NULL
) WITH (fillfactor = 80);

-- Orders: address, value and delivery. The only personal data of this service (invariant 12). `address_hash` is a keyed
-- hash, by which two orders to one address are recognized without showing it. `ship_to_at` and `phone_at` are the times
-- at which the shop stated them; `placed_digest` recognizes an order that is sent again. `address_version` counts the
-- changes of address or telephone, so that a case notices one without holding an address itself.
CREATE TABLE order_snapshots (
    order_id      text PRIMARY KEY,
    ship_to       jsonb,
    ship_to_at    timestamptz,
    phone         text,
    phone_at      timestamptz,
    placed_digest text,
    customer_id   text,
    value         numeric,
    currency      text,
    address_hash  text,
    delivered_at  timestamptz,
    placed_at     timestamptz,
    address_version integer NOT NULL DEFAULT 0
);

CREATE INDEX order_snapshots_delivered ON order_snapshots (customer_id) WHERE delivered_at IS NOT NULL;
CREATE INDEX order_snapshots_customer ON order_snapshots (customer_id);
CREATE INDEX order_snapshots_address ON order_snapshots (address_hash, customer_id) WHERE address_hash IS NOT NULL;
CREATE INDEX order_snapshots_placed_at ON order_snapshots USING brin (placed_at);
