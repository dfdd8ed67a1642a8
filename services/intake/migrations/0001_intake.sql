-- State of each order: one document, see services/intake/domain/orders.py.
CREATE TABLE orders (
    key     text   PRIMARY KEY,
    version bigint NOT NULL,
    body    jsonb  NOT NULL
);

-- Holder of each unit. The primary key enforces one live entitlement per unit; a row is deleted when its issue is
-- cancelled or rejected. A replacement that was delivered is the next generation of the unit and can be reported itself;
-- `replaced_on` is its delivery day, and a row with one stays also where its issue is cancelled. `resent_by` is the staff
-- decision that may send the unit again: until returns has answered it, no replacement of the unit can be reported.
-- There is no index on issue_id: rows are always found by their order.
CREATE TABLE entitlements (
    order_id    text    NOT NULL,
    line_id     text    NOT NULL,
    unit_number integer NOT NULL CHECK (unit_number >= 1),
    issue_id    uuid    NOT NULL,
    generation  integer NOT NULL DEFAULT 0 CHECK (generation >= 0),
    replaced_on date,
    resent_by   uuid,
    PRIMARY KEY (order_id, line_id, unit_number, generation)
);

-- One row per report with an id. `description` is the customer's own text and stays in this table. `missing` are the
-- details that the customer still owes. `decide_by` is the shop's decision deadline, `decided_at` the decision.
--
-- The status has two registers, each the latest of its kind, so that facts may arrive in any order: `progress_status`,
-- the latest step; `lifecycle_status`, the latest event that ends or (re)opens an issue. No step changes an ended issue.
CREATE TABLE issues (
    issue_id         uuid        PRIMARY KEY,
    order_id         text        NOT NULL,
    customer_id      text        NOT NULL,
    reason           text        NOT NULL,
    lines            jsonb       NOT NULL,
    description      text,
    reference        text,
    refusal_code     text,
    reported_at      timestamptz NOT NULL,
    requested_remedy text,
    noticed_on       date,
    skus             text[]      NOT NULL DEFAULT '{}',
    missing          text[]      NOT NULL DEFAULT '{}',
    decide_by        timestamptz,
    decided_at       timestamptz,
    progress_status  text        NOT NULL DEFAULT 'accepted',
    progress_at      timestamptz NOT NULL DEFAULT '-infinity',
    lifecycle_status text        NOT NULL DEFAULT 'accepted',
    lifecycle_at     timestamptz NOT NULL DEFAULT '-infinity',
    is_open          boolean     NOT NULL GENERATED ALWAYS AS
        (lifecycle_status NOT IN ('rejected', 'resolved', 'cancelled')) STORED,
    status           text        NOT NULL GENERATED ALWAYS AS
        (CASE WHEN lifecycle_status IN ('rejected', 'resolved', 'cancelled') THEN lifecycle_status
              ELSE progress_status END) STORED
) WITH (fillfactor = 70);  -- the status changes some ten times: room for updates in place
CREATE INDEX issues_order ON issues (order_id);
-- Lists, newest first; each index ends in the key of a page. Open issues are few, so a status filter scans them.
CREATE INDEX issues_newest ON issues (reported_at, issue_id);
CREATE INDEX issues_open ON issues (reported_at, issue_id) WHERE is_open;
CREATE INDEX issues_undecided ON issues (decide_by) WHERE is_open AND decided_at IS NULL;
CREATE INDEX issues_customer ON issues (customer_id, reported_at, issue_id);
CREATE INDEX issues_reference ON issues (reference) WHERE reference IS NOT NULL;
CREATE INDEX issues_skus ON issues USING gin (skus);
-- Retention of free text in closed issues.
CREATE INDEX issues_with_description ON issues (lifecycle_at) WHERE description IS NOT NULL AND NOT is_open;

-- History of each issue, one row per event. `position` keeps the order of arrival where two events have the same time.
-- `data` is `json`: it is written a dozen times per issue and read whole, and `jsonb` would parse each value.
-- `trace_id` is the trace of the report, on the row of issue.reported only.
CREATE TABLE timeline (
    issue_id uuid        NOT NULL,
    event_id text        NOT NULL,
    position bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    at       timestamptz NOT NULL,
    type     text        NOT NULL,
    data     json        NOT NULL,
    trace_id text,
    PRIMARY KEY (issue_id, event_id)
);

-- Decisions of staff: the key allows one decision per version of an issue.
CREATE TABLE staff_decisions (
    issue_id    uuid        NOT NULL REFERENCES issues,
    version     integer     NOT NULL CHECK (version >= 1),
    decision_id uuid        NOT NULL UNIQUE,
    action      text        NOT NULL,
    review      text,
    remedy      text,
    staff       text        NOT NULL,
    comment     text        NOT NULL,
    decided_at  timestamptz NOT NULL,
    PRIMARY KEY (issue_id, version)
);

-- The survey after a resolution. `comment` is the customer's own text and stays in this table.
CREATE TABLE ratings (
    issue_id   uuid        NOT NULL REFERENCES issues,
    resolution integer     NOT NULL CHECK (resolution >= 1),
    score      smallint    NOT NULL CHECK (score BETWEEN 0 AND 10),
    comment    text,
    rated_at   timestamptz NOT NULL,
    PRIMARY KEY (issue_id, resolution)
);

-- Photos by the hash of their content: the same photo twice is one row. Their files are in the evidence store.
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
CREATE INDEX evidence_stored_at ON evidence USING brin (stored_at);

-- Photos that were uploaded before their report; deleted when no report names them in time.
CREATE TABLE photo_uploads (
    sha256     text        PRIMARY KEY CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    media_type text        NOT NULL,
    size_bytes integer     NOT NULL CHECK (size_bytes > 0),
    width      integer     NOT NULL,
    height     integer     NOT NULL,
    stored_at  timestamptz NOT NULL
);

-- Photos received by link, per issue or order and hour; a row is reset or deleted when its hour is over.
CREATE TABLE photo_quota (
    subject    text        PRIMARY KEY,
    started_at timestamptz NOT NULL,
    photos     integer     NOT NULL
);

-- Photos whose rows are deleted and whose files are not yet: files are part of no transaction.
CREATE TABLE photo_deletion_queue (
    sha256     text        PRIMARY KEY CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    media_type text        NOT NULL,
    since      timestamptz NOT NULL DEFAULT now()
);

-- Work items of the desk: a review, an unhappy customer, or the next step of an open issue. One event opens a row and
-- another deletes it, so the table is as long as the open work.
CREATE TABLE work_queue (
    issue_id uuid        NOT NULL,
    kind     text        NOT NULL,
    about    text        NOT NULL,
    detail   text        NOT NULL,
    since    timestamptz NOT NULL,
    due_at   timestamptz NOT NULL,
    PRIMARY KEY (issue_id, kind, about)
);
CREATE INDEX work_queue_due ON work_queue (kind, due_at);

-- Accounts of the desk, created by `python -m services.intake.cli.staff`; the hash is in argon2's own format.
CREATE TABLE staff (
    name          text        PRIMARY KEY CHECK (name ~ '^[a-z0-9][a-z0-9._-]{0,39}$'),
    password_hash text        NOT NULL,
    role          text        NOT NULL CHECK (role IN ('viewer', 'agent', 'admin')),
    language      text        NOT NULL CHECK (language IN ('ja', 'en')),
    created_at    timestamptz NOT NULL,
    disabled_at   timestamptz
);

-- Sessions by the digest of their cookie: read access to this table does not allow signing in.
CREATE TABLE staff_sessions (
    digest     bytea       PRIMARY KEY,
    staff      text        NOT NULL REFERENCES staff ON DELETE CASCADE,
    csrf       text        NOT NULL,
    started_at timestamptz NOT NULL,
    seen_at    timestamptz NOT NULL
);
CREATE INDEX staff_sessions_staff ON staff_sessions (staff);

-- Failed sign-ins by the digest of the name or of the client address; deleted as they age.
CREATE TABLE failed_sign_ins (
    subject bytea       NOT NULL,
    at      timestamptz NOT NULL
);
CREATE INDEX failed_sign_ins_subject ON failed_sign_ins (subject, at);

-- Claims on issues, so that two people do not act on the same issue at once.
CREATE TABLE issue_claims (
    issue_id uuid        PRIMARY KEY,
    staff    text        NOT NULL,
    until    timestamptz NOT NULL
);

-- Actions of staff at the desk, with their comments. `subject` is an issue, or `dead_letter:<service>:<id>`.
CREATE TABLE desk_actions (
    action_id uuid        PRIMARY KEY,
    subject   text        NOT NULL,
    staff     text        NOT NULL,
    action    text        NOT NULL,
    about     text        NOT NULL,
    comment   text        NOT NULL,
    acted_at  timestamptz NOT NULL
);
CREATE INDEX desk_actions_subject ON desk_actions (subject, acted_at);

-- Delivered units of one lot under one order line, for warning buyers. An unknown `lot` is empty.
CREATE TABLE delivered_units (
    order_id    text    NOT NULL,
    line_id     text    NOT NULL,
    lot         text    NOT NULL,
    day         date    NOT NULL,
    sku         text    NOT NULL,
    customer_id text    NOT NULL,
    units       integer NOT NULL,
    PRIMARY KEY (order_id, line_id, lot, day)
);
CREATE INDEX delivered_units_product ON delivered_units (sku, lot);

-- Delivered units by product, lot and day: the denominator of report rates.
CREATE TABLE delivered_per_day (
    sku   text    NOT NULL,
    lot   text    NOT NULL,
    day   date    NOT NULL,
    units integer NOT NULL,
    PRIMARY KEY (sku, lot, day)
) WITH (fillfactor = 50);

-- One row per line of an accepted report. `delivered_on` is the day under which its units count (the day of
-- reported_at where they were never delivered); `is_valid` is false once the report is rejected or cancelled.
CREATE TABLE reported_lines (
    issue_id     uuid        NOT NULL,
    line_id      text        NOT NULL,
    order_id     text        NOT NULL,
    customer_id  text        NOT NULL,
    sku          text        NOT NULL,
    lot          text        NOT NULL,
    reason       text        NOT NULL,
    units        integer     NOT NULL,
    delivered_on date        NOT NULL,
    reported_at  timestamptz NOT NULL,
    is_valid     boolean     NOT NULL DEFAULT true,
    PRIMARY KEY (issue_id, line_id)
);
CREATE INDEX reported_lines_product ON reported_lines (sku, lot, delivered_on);
-- Rows are inserted nearly in time order: BRIN finds the parts of the table that hold some days.
CREATE INDEX reported_lines_days ON reported_lines USING brin (delivered_on, reported_at) WITH (pages_per_range = 16);

-- Times of an issue from which metrics are computed, earliest or latest as the column says; merged per batch.
-- `contacts` counts how often the customer had to act or wait again after reporting.
CREATE TABLE issue_metrics (
    issue_id    uuid PRIMARY KEY,
    reason      text,
    reported_at timestamptz,
    answered_at timestamptz,
    ordered_at  timestamptz,
    resolved_at timestamptz,
    reopened_at timestamptz,
    contacts    integer NOT NULL DEFAULT 0,
    score       smallint,
    rated_at    timestamptz
) WITH (fillfactor = 70);
CREATE INDEX issue_metrics_reported ON issue_metrics (reported_at);
CREATE INDEX issue_metrics_rated ON issue_metrics (rated_at) WHERE rated_at IS NOT NULL;

-- Products and lots with new data; the detection loop checks each and deletes the row.
CREATE TABLE detection_queue (
    id  bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
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

-- Warned buyers: one warning per order and cluster.
CREATE TABLE warned_buyers (
    cluster_id uuid NOT NULL,
    order_id   text NOT NULL,
    PRIMARY KEY (cluster_id, order_id)
);

-- Rollups of past months, computed once: services/intake/store/insights/queries.py documents the columns per kind.
CREATE TABLE monthly_rollups (
    month       date   NOT NULL,
    kind        text   NOT NULL,
    dimension_1 text   NOT NULL,
    dimension_2 text   NOT NULL,
    dimension_3 text   NOT NULL,
    value_1     bigint NOT NULL,
    value_2     bigint NOT NULL,
    value_3     bigint NOT NULL
);
CREATE INDEX monthly_rollups_month ON monthly_rollups (month);

-- Months in `monthly_rollups`, also those without data; days begin in `zone`.
CREATE TABLE rollup_months (
    month date PRIMARY KEY,
    zone  text NOT NULL
);

-- Months that a batch changed after their rollup. Batches only append, so that none waits for another.
CREATE TABLE rollup_queue (
    id    bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    month date   NOT NULL
);

-- Grants of the service's own role: `append-only` is read by libs/common/postgres/db_grants.py.
COMMENT ON TABLE timeline IS 'append-only: history of each issue';
COMMENT ON TABLE staff_decisions IS 'append-only: decisions of staff, with comment';
COMMENT ON TABLE desk_actions IS 'append-only: actions of staff at the desk, with comment';
COMMENT ON TABLE warned_buyers IS 'append-only: buyers that were warned';

-- The only change allowed in append-only tables: erasure of free text about an erased customer's issues.
CREATE FUNCTION erase_free_text(issues uuid[]) RETURNS void LANGUAGE sql
    SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE staff_decisions SET comment = 'erased' WHERE issue_id = ANY(issues) AND comment <> 'erased';
    UPDATE desk_actions SET comment = 'erased' WHERE subject = ANY(issues::text[]) AND comment <> 'erased';
    UPDATE timeline SET data = (data::jsonb - 'comment')::json
    WHERE issue_id = ANY(issues) AND data -> 'comment' IS NOT NULL;
$$;
