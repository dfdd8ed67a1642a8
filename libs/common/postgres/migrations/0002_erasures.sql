-- Who was erased, and up to which moment of theirs: what comes later and is older than that is told without the person.
CREATE TABLE erasures (
    customer_id text        PRIMARY KEY,
    erasure_id  uuid        NOT NULL,
    until       timestamptz NOT NULL,
    rounds      integer     NOT NULL
);
