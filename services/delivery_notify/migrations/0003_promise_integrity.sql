-- Outcomes of the promises of each day, as `sakidashi verify promises` counted them from the topics.
CREATE TABLE promise_integrity (
    day         date        PRIMARY KEY,
    kept        integer     NOT NULL CHECK (kept >= 0),
    announced_before integer     NOT NULL CHECK (announced_before >= 0),
    silent      integer     NOT NULL CHECK (silent >= 0),
    released    integer     NOT NULL CHECK (released >= 0),
    open        integer     NOT NULL CHECK (open >= 0),
    audited_at  timestamptz NOT NULL
);
