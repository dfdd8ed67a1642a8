-- What waits: for a human (a review, an unhappy customer) or for a moment (the next step of an open issue). One row per
-- thing, made by the event that opens it and deleted by the one that ends it, so the table is as long as what is open.
CREATE TABLE desk_work (
    issue_id uuid        NOT NULL,
    kind     text        NOT NULL,
    about    text        NOT NULL,
    detail   text        NOT NULL,
    since    timestamptz NOT NULL,
    due_at   timestamptz NOT NULL,
    PRIMARY KEY (issue_id, kind, about)
);
CREATE INDEX desk_work_due ON desk_work (kind, due_at);

-- The trace that a report began, for the link to it; on the row of issue.reported only.
ALTER TABLE timeline ADD COLUMN trace_id text;

-- Who may sign in at the desk. Made by `python -m services.intake.cli.staff`; the hash is argon2's own text.
CREATE TABLE staff (
    name          text        PRIMARY KEY CHECK (name ~ '^[a-z0-9][a-z0-9._-]{0,39}$'),
    password_hash text        NOT NULL,
    role          text        NOT NULL CHECK (role IN ('viewer', 'agent', 'admin')),
    language      text        NOT NULL CHECK (language IN ('ja', 'en')),
    made_at       timestamptz NOT NULL,
    disabled_at   timestamptz
);

-- Sessions by the digest of their cookie: who reads this table can sign in nowhere.
CREATE TABLE staff_sessions (
    digest     bytea       PRIMARY KEY,
    staff      text        NOT NULL REFERENCES staff ON DELETE CASCADE,
    csrf       text        NOT NULL,
    began_at   timestamptz NOT NULL,
    seen_at    timestamptz NOT NULL
);
CREATE INDEX staff_sessions_staff ON staff_sessions (staff);

-- Failed attempts to sign in, by the digest of the name or of the address they came from; swept as they grow old.
CREATE TABLE staff_attempts (
    subject bytea       NOT NULL,
    at      timestamptz NOT NULL
);
CREATE INDEX staff_attempts_subject ON staff_attempts (subject, at);

-- Who is at an issue just now, so that two people never act on it at once.
CREATE TABLE desk_claims (
    issue_id uuid        PRIMARY KEY,
    staff    text        NOT NULL,
    until    timestamptz NOT NULL
);

-- What staff did at the desk, and comment. Only ever added to. `subject` is an issue, or `parked:<service>:<id>`.
CREATE TABLE desk_acts (
    act_id   uuid        PRIMARY KEY,
    subject  text        NOT NULL,
    staff    text        NOT NULL,
    action   text        NOT NULL,
    about    text        NOT NULL,
    comment      text        NOT NULL,
    acted_at timestamptz NOT NULL
);
CREATE INDEX desk_acts_subject ON desk_acts (subject, acted_at);

-- The survey after a resolution. `comment` is the customer's own text: it stays in this table.
CREATE TABLE ratings (
    issue_id   uuid        NOT NULL REFERENCES issues,
    resolution integer     NOT NULL CHECK (resolution >= 1),
    score      smallint    NOT NULL CHECK (score BETWEEN 0 AND 10),
    comment        text,
    rated_at   timestamptz NOT NULL,
    PRIMARY KEY (issue_id, resolution)
);
