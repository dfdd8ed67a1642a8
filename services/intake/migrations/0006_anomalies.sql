-- Anomalies that no issue shows, for the desk: one row per cause. `settled_by` is empty where it ended by itself, and
-- opens again where it is reported again; a cause that staff settled does not come back for its retention. `refusal` is
-- the code with which the last decision about a counted box was refused. `position` grows with every change.
CREATE TABLE anomalies (
    anomaly_id  uuid        PRIMARY KEY,
    cause       text        NOT NULL,
    anomaly     text        NOT NULL,
    detected_by text        NOT NULL,
    thing       text        NOT NULL,
    detail      text        NOT NULL,
    issue_id    uuid,
    order_id    text,
    reported_by text        NOT NULL,
    event_type  text        NOT NULL,
    event_id    text        NOT NULL,
    reported    jsonb       NOT NULL,
    reports     integer     NOT NULL DEFAULT 1,
    since       timestamptz NOT NULL,
    last_at     timestamptz NOT NULL,
    due_at      timestamptz NOT NULL,
    settled_at  timestamptz,
    settled_by  text,
    comment     text,
    refusal     text,
    position    bigint      NOT NULL GENERATED ALWAYS AS IDENTITY
);
CREATE INDEX anomalies_open ON anomalies (due_at, anomaly_id) WHERE settled_at IS NULL;
CREATE INDEX anomalies_settled_at ON anomalies (settled_at) WHERE settled_at IS NOT NULL;
