-- Events of partners and customers about an issue that has no case (yet): applied when the case opens. The case may have
-- been lost with a restore, and comes back when its acceptance is read again. `position` is the order of arrival.
CREATE TABLE early_events (
    issue_id   text        NOT NULL,
    event_key  text        NOT NULL,
    position   bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    body       bytea       NOT NULL,
    event_time timestamptz NOT NULL,
    kept_at    timestamptz NOT NULL,
    applied_at timestamptz,
    PRIMARY KEY (issue_id, event_key)
);
CREATE INDEX early_events_kept_at ON early_events USING brin (kept_at);
