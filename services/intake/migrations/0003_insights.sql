-- What arrived at whose door: the pieces of one lot under one order line, for warning buyers. `lot` is empty where it
-- is not known.
CREATE TABLE arrived_pieces (
    order_id    text    NOT NULL,
    line_id     text    NOT NULL,
    lot         text    NOT NULL,
    day         date    NOT NULL,
    sku         text    NOT NULL,
    customer_id text    NOT NULL,
    pieces      integer NOT NULL,
    PRIMARY KEY (order_id, line_id, lot, day)
);
CREATE INDEX arrived_pieces_product ON arrived_pieces (sku, lot);

-- How many pieces arrived, by product, lot and day: what reports are counted against.
CREATE TABLE arrived_per_day (
    sku    text    NOT NULL,
    lot    text    NOT NULL,
    day    date    NOT NULL,
    pieces integer NOT NULL,
    PRIMARY KEY (sku, lot, day)
) WITH (fillfactor = 50);

-- One row per line of an accepted report. `arrived_on` is the day from which its pieces count (reported_at's day where
-- they never arrived); `stands` is false once the report was rejected or cancelled.
CREATE TABLE reported_lines (
    issue_id    uuid        NOT NULL,
    line_id     text        NOT NULL,
    order_id    text        NOT NULL,
    customer_id text        NOT NULL,
    sku         text        NOT NULL,
    lot         text        NOT NULL,
    reason      text        NOT NULL,
    pieces      integer     NOT NULL,
    arrived_on  date        NOT NULL,
    reported_at timestamptz NOT NULL,
    stands      boolean     NOT NULL DEFAULT true,
    PRIMARY KEY (issue_id, line_id)
);
CREATE INDEX reported_lines_product ON reported_lines (sku, lot, arrived_on);

-- The moments of an issue that figures are made of, earliest or latest as the column says; gathered per batch.
-- `contacts` counts how often the customer had to do or wait for something more after reporting.
CREATE TABLE issue_figures (
    issue_id      uuid PRIMARY KEY,
    reason        text,
    reported_at   timestamptz,
    answered_at   timestamptz,
    ordered_at    timestamptz,
    resolved_at   timestamptz,
    reopened_at   timestamptz,
    contacts      integer NOT NULL DEFAULT 0,
    score         smallint,
    rated_at      timestamptz
) WITH (fillfactor = 70);
CREATE INDEX issue_figures_reported ON issue_figures (reported_at);
CREATE INDEX issue_figures_rated ON issue_figures (rated_at) WHERE rated_at IS NOT NULL;

-- Products and lots about which something new is known; the learner looks at each and deletes the row.
CREATE TABLE to_learn (
    n   bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    sku text NOT NULL,
    lot text NOT NULL
);

-- Clusters of reports: one document each, see services/intake/insights/clusters.py. The key is the cluster's id.
CREATE TABLE clusters (
    key     text   PRIMARY KEY,
    version bigint NOT NULL,
    body    jsonb  NOT NULL,
    sku     text   NOT NULL GENERATED ALWAYS AS (body ->> 'sku') STORED,
    lot     text   NOT NULL GENERATED ALWAYS AS (body ->> 'lot') STORED,
    status  text   NOT NULL GENERATED ALWAYS AS (body ->> 'status') STORED
);
CREATE INDEX clusters_product ON clusters (sku, lot);

-- Who was warned: an order hears of a cluster once.
CREATE TABLE buyers_warned (
    cluster_id uuid NOT NULL,
    order_id   text NOT NULL,
    PRIMARY KEY (cluster_id, order_id)
);
