-- The points ledger: append-only, one row per movement, two columns of account (pending, final) with signed changes.
--
-- Each entry carries the balances after it, and refers by foreign key to the entry before it with the balances it
-- started from; the customer's balance refers in the same way to the last entry. So the database itself refuses a
-- ledger that does not sum to its balances (invariant 10), and a balance at any past moment is one row.
-- Every cause moves points at most once per kind.

CREATE TABLE entries (
    entry_id      uuid PRIMARY KEY,
    customer_id   text NOT NULL,
    number        bigint NOT NULL,
    kind          text NOT NULL,
    cause         text NOT NULL,
    issue_id      uuid,
    pending       bigint NOT NULL,
    final         bigint NOT NULL,
    points        bigint GENERATED ALWAYS AS (pending + final) STORED,
    pending_after bigint NOT NULL,
    final_after   bigint NOT NULL,
    rule          text,
    rule_version  text,
    at            timestamptz NOT NULL,

    previous       bigint GENERATED ALWAYS AS (NULLIF(number - 1, 0)) STORED,
    pending_before bigint GENERATED ALWAYS AS (pending_after - pending) STORED,
    final_before   bigint GENERATED ALWAYS AS (final_after - final) STORED,

    CONSTRAINT entries_once_per_cause UNIQUE (cause, kind),
    CONSTRAINT entries_do_not_fork UNIQUE (customer_id, number),
    CONSTRAINT entries_balance UNIQUE (customer_id, number, pending_after, final_after),
    CONSTRAINT entries_follow_each_other FOREIGN KEY (customer_id, previous, pending_before, final_before)
        REFERENCES entries (customer_id, number, pending_after, final_after),
    CONSTRAINT entries_start_at_nothing CHECK (
        number > 1 OR (number = 1 AND pending_after = pending AND final_after = final)
    ),
    CONSTRAINT entries_never_below_nothing CHECK (pending_after >= 0 AND final_after >= 0),
    CONSTRAINT entries_move_as_their_kind CHECK (
        CASE kind
            WHEN 'grant' THEN pending > 0 AND final = 0
            WHEN 'vest' THEN final > 0 AND pending = -final
            WHEN 'reverse' THEN (pending < 0 AND final = 0) OR (pending = 0 AND final < 0)
            ELSE false
        END
    ),
    CONSTRAINT grants_name_their_rule CHECK (kind <> 'grant' OR (rule IS NOT NULL AND rule_version IS NOT NULL))
);

CREATE INDEX entries_of_issue ON entries (issue_id) WHERE issue_id IS NOT NULL;

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only: write a compensating entry instead of %', TG_OP
        USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER entries_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Where a customer's ledger stands; also the row that is locked while it grows.
CREATE TABLE balances (
    customer_id text PRIMARY KEY,
    number      bigint NOT NULL,
    pending     bigint NOT NULL,
    final       bigint NOT NULL,
    CONSTRAINT balances_are_what_the_ledger_says FOREIGN KEY (customer_id, number, pending, final)
        REFERENCES entries (customer_id, number, pending_after, final_after)
);

-- Causes that earn nothing any more, because they were taken back before they could earn: a reopening that overtook
-- its resolution, an issue that was cancelled.
CREATE TABLE withheld (
    cause       text PRIMARY KEY,
    customer_id text NOT NULL,
    issue_id    uuid NOT NULL,
    at          timestamptz NOT NULL
);

CREATE INDEX withheld_of_issue ON withheld (issue_id);
