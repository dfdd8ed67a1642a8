-- Calendar file that the dates of each aggregate were last compared with.
CREATE TABLE calendar_in_force (
    aggregate   text        PRIMARY KEY,
    fingerprint text        NOT NULL,
    since       timestamptz NOT NULL
);
