-- The rest of what a report said, so that staff may let it stand later; `missing` is what the customer still owes.
-- `decide_by` is when the shop owes a decision, `decided_at` when it was taken.
--
-- The headline in two registers, each the latest of its kind, so that facts may arrive in any order: `head`, the last
-- word; `gate`, the last word that ends an issue or opens it (again). What has ended stays ended whatever else is told.
ALTER TABLE issues
    ADD COLUMN requested_remedy       text,
    ADD COLUMN noticed_on date,
    ADD COLUMN skus       text[]      NOT NULL DEFAULT '{}',
    ADD COLUMN missing    text[]      NOT NULL DEFAULT '{}',
    ADD COLUMN decide_by  timestamptz,
    ADD COLUMN decided_at timestamptz,
    ADD COLUMN head       text        NOT NULL DEFAULT 'accepted',
    ADD COLUMN head_at    timestamptz NOT NULL DEFAULT '-infinity',
    ADD COLUMN gate       text        NOT NULL DEFAULT 'accepted',
    ADD COLUMN gate_at    timestamptz NOT NULL DEFAULT '-infinity';
UPDATE issues SET gate = 'rejected', head = 'rejected' WHERE refusal_code IS NOT NULL;
ALTER TABLE issues
    ADD COLUMN is_open boolean NOT NULL GENERATED ALWAYS AS (gate NOT IN ('rejected', 'resolved', 'cancelled')) STORED,
    ADD COLUMN status  text    NOT NULL GENERATED ALWAYS AS
        (CASE WHEN gate IN ('rejected', 'resolved', 'cancelled') THEN gate ELSE head END) STORED,
    SET (fillfactor = 70);  -- the headline moves some ten times: room to do so in place

-- Lists, newest first; each index ends in the key of a page. What is open is few, so a status is looked for among it.
CREATE INDEX issues_newest ON issues (reported_at, issue_id);
CREATE INDEX issues_open ON issues (reported_at, issue_id) WHERE is_open;
CREATE INDEX issues_undecided ON issues (decide_by) WHERE is_open AND decided_at IS NULL;
CREATE INDEX issues_customer ON issues (customer_id, reported_at, issue_id);
CREATE INDEX issues_reference ON issues (reference) WHERE reference IS NOT NULL;
CREATE INDEX issues_skus ON issues USING gin (skus);

-- What staff decided: each version of an issue is one decision, by this key.
CREATE TABLE decisions (
    issue_id    uuid        NOT NULL REFERENCES issues,
    version     integer     NOT NULL CHECK (version >= 1),
    decision_id uuid        NOT NULL UNIQUE,
    action      text        NOT NULL,
    review      text,
    remedy      text,
    staff       text        NOT NULL,
    comment         text        NOT NULL,
    decided_at  timestamptz NOT NULL,
    PRIMARY KEY (issue_id, version)
);

-- Photos that came before their report; swept when no report names them in time.
CREATE TABLE uploads (
    sha256     text        PRIMARY KEY CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    media_type text        NOT NULL,
    size_bytes integer     NOT NULL CHECK (size_bytes > 0),
    width      integer     NOT NULL,
    height     integer     NOT NULL,
    stored_at  timestamptz NOT NULL
);
