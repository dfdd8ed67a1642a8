-- Time of the next look at the promises of a day, per kind of party: one process takes each, also after a restart.
CREATE TABLE lateness_checks (
    dimension text        PRIMARY KEY,
    due_at    timestamptz NOT NULL
);
