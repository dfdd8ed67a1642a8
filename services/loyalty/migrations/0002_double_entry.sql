-- The ledger in double entry: every grant is a lot; an entry moves points of one lot from one account to another.
--
-- So each entry sums to nothing by construction, and no entry can create or lose a point. Balances are kept by the
-- database itself, by a trigger on the entries, and by nobody else: they are sums of the ledger, always (invariant 10).
-- What may never be (an account below nothing, points to spend beside a debt) is a constraint on the sums.

ALTER TABLE entries RENAME TO entries_before;
ALTER TABLE withheld RENAME TO withheld_before;
DROP TABLE balances;
ALTER INDEX entries_pkey RENAME TO entries_before_pkey;
ALTER INDEX entries_once_per_cause RENAME TO entries_before_once_per_cause;
ALTER INDEX entries_do_not_fork RENAME TO entries_before_do_not_fork;
ALTER INDEX entries_of_issue RENAME TO entries_before_of_issue;
ALTER INDEX withheld_pkey RENAME TO withheld_before_pkey;
ALTER INDEX withheld_of_issue RENAME TO withheld_before_of_issue;

CREATE TABLE entries (
    entry_id        uuid PRIMARY KEY,
    customer_id     text NOT NULL,
    number          bigint NOT NULL,
    kind            text NOT NULL,
    cause           text NOT NULL,
    lot_id          uuid NOT NULL,
    from_account    text NOT NULL,
    to_account      text NOT NULL,
    points          bigint NOT NULL,
    at              timestamptz NOT NULL,
    text            text NOT NULL,        -- public: a code that is said in the customer's language
    issue_id        uuid,
    order_id        text,
    note            text,                 -- private: for ops only
    staff           text,
    due_at          timestamptz,          -- of a reservation: when it runs out
    what            text,                 -- from here on: of grants only
    rule            text,
    rule_version    text,
    legal_basis     text,
    counts_for_tier boolean,
    expires_on      date,
    inputs          jsonb,

    CONSTRAINT entries_once_per_cause UNIQUE (cause, kind, lot_id, from_account),
    CONSTRAINT entries_do_not_fork UNIQUE (customer_id, number),
    CONSTRAINT entries_move_something CHECK (points > 0),
    CONSTRAINT entries_are_numbered_from_one CHECK (number > 0),
    CONSTRAINT entries_move_as_their_kind CHECK (
        (kind, from_account, to_account) IN (
            ('grant', 'issued', 'pending'), ('grant', 'issued', 'available'),
            ('vest', 'pending', 'available'),
            ('settle', 'available', 'debt'),
            ('reverse', 'pending', 'issued'), ('reverse', 'available', 'issued'),
            ('reverse', 'expired', 'issued'), ('reverse', 'debt', 'issued'),
            ('reserve', 'available', 'reserved'), ('release', 'reserved', 'available'),
            ('redeem', 'reserved', 'spent'), ('return', 'spent', 'available'),
            ('expire', 'available', 'expired'),
            ('adjust', 'issued', 'available'), ('adjust', 'available', 'issued')
        )
    ),
    CONSTRAINT grants_say_what_they_are CHECK (
        (from_account = 'issued') = (lot_id = entry_id)
        AND (from_account <> 'issued' OR num_nonnulls(
            what, rule, rule_version, legal_basis, counts_for_tier, expires_on, inputs) = 7)
    ),
    CONSTRAINT what_is_done_by_hand_says_by_whom_and_why CHECK (
        kind <> 'adjust' OR (staff IS NOT NULL AND note IS NOT NULL)
    )
);

-- The id of a grant follows from its cause; this says so even to somebody who makes ids up.
CREATE UNIQUE INDEX entries_one_grant_per_cause ON entries (cause) WHERE from_account = 'issued';
CREATE INDEX entries_of_issue ON entries (issue_id) WHERE issue_id IS NOT NULL;

-- Where the points of each grant are, and where each customer's are; `balances` is also the row that is locked.
CREATE TABLE lots (
    lot_id      uuid PRIMARY KEY,
    customer_id text NOT NULL,
    granted_at  timestamptz NOT NULL,
    issued      bigint NOT NULL,
    pending     bigint NOT NULL,
    available   bigint NOT NULL,
    reserved    bigint NOT NULL,
    spent       bigint NOT NULL,
    expired     bigint NOT NULL,
    debt        bigint NOT NULL,
    CONSTRAINT lots_sum_to_nothing CHECK (issued + pending + available + reserved + spent + expired + debt = 0),
    CONSTRAINT lots_never_below_nothing CHECK (
        pending >= 0 AND available >= 0 AND reserved >= 0 AND spent >= 0 AND expired >= 0 AND issued <= 0
    )
) WITH (fillfactor = 80);

CREATE INDEX lots_of_customer ON lots (customer_id, granted_at);

CREATE TABLE balances (
    customer_id text PRIMARY KEY,
    number      bigint NOT NULL,
    issued      bigint NOT NULL,
    pending     bigint NOT NULL,
    available   bigint NOT NULL,
    reserved    bigint NOT NULL,
    spent       bigint NOT NULL,
    expired     bigint NOT NULL,
    debt        bigint NOT NULL,
    CONSTRAINT balances_sum_to_nothing CHECK (issued + pending + available + reserved + spent + expired + debt = 0),
    CONSTRAINT balances_never_below_nothing CHECK (
        pending >= 0 AND available >= 0 AND reserved >= 0 AND spent >= 0 AND expired >= 0 AND debt <= 0
    ),
    CONSTRAINT debts_are_paid_first CHECK (debt = 0 OR available = 0)
) WITH (fillfactor = 80);

-- The settings: tables begin empty, and a plan that reads them whole is kept until long after they are large.
CREATE FUNCTION keep_sums() RETURNS trigger LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    WITH moves AS (
        SELECT customer_id, lot_id, number, at, from_account AS account, -points AS points FROM written
        UNION ALL
        SELECT customer_id, lot_id, number, at, to_account, points FROM written
    ), sums AS (
        SELECT customer_id, lot_id, min(at) AS at,
            coalesce(sum(points) FILTER (WHERE account = 'issued'), 0) AS issued,
            coalesce(sum(points) FILTER (WHERE account = 'pending'), 0) AS pending,
            coalesce(sum(points) FILTER (WHERE account = 'available'), 0) AS available,
            coalesce(sum(points) FILTER (WHERE account = 'reserved'), 0) AS reserved,
            coalesce(sum(points) FILTER (WHERE account = 'spent'), 0) AS spent,
            coalesce(sum(points) FILTER (WHERE account = 'expired'), 0) AS expired,
            coalesce(sum(points) FILTER (WHERE account = 'debt'), 0) AS debt
        FROM moves GROUP BY customer_id, lot_id
    )
    MERGE INTO lots AS l USING sums AS s ON l.lot_id = s.lot_id AND l.customer_id = s.customer_id
    WHEN MATCHED THEN UPDATE SET
        issued = l.issued + s.issued, pending = l.pending + s.pending, available = l.available + s.available,
        reserved = l.reserved + s.reserved, spent = l.spent + s.spent, expired = l.expired + s.expired,
        debt = l.debt + s.debt
    WHEN NOT MATCHED THEN INSERT VALUES (s.lot_id, s.customer_id, s.at, s.issued, s.pending, s.available, s.reserved,
        s.spent, s.expired, s.debt);

    WITH moves AS (
        SELECT customer_id, number, from_account AS account, -points AS points FROM written
        UNION ALL
        SELECT customer_id, number, to_account, points FROM written
    ), sums AS (
        SELECT customer_id, max(number) AS number,
            coalesce(sum(points) FILTER (WHERE account = 'issued'), 0) AS issued,
            coalesce(sum(points) FILTER (WHERE account = 'pending'), 0) AS pending,
            coalesce(sum(points) FILTER (WHERE account = 'available'), 0) AS available,
            coalesce(sum(points) FILTER (WHERE account = 'reserved'), 0) AS reserved,
            coalesce(sum(points) FILTER (WHERE account = 'spent'), 0) AS spent,
            coalesce(sum(points) FILTER (WHERE account = 'expired'), 0) AS expired,
            coalesce(sum(points) FILTER (WHERE account = 'debt'), 0) AS debt
        FROM moves GROUP BY customer_id
    )
    MERGE INTO balances AS b USING sums AS s ON b.customer_id = s.customer_id
    WHEN MATCHED THEN UPDATE SET
        number = s.number,
        issued = b.issued + s.issued, pending = b.pending + s.pending, available = b.available + s.available,
        reserved = b.reserved + s.reserved, spent = b.spent + s.spent, expired = b.expired + s.expired,
        debt = b.debt + s.debt
    WHEN NOT MATCHED THEN INSERT VALUES (s.customer_id, s.number, s.issued, s.pending, s.available, s.reserved,
        s.spent, s.expired, s.debt);
    RETURN NULL;
END $$;

CREATE TRIGGER entries_keep_sums AFTER INSERT ON entries
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION keep_sums();

CREATE TRIGGER entries_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE FUNCTION refuse_hand() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% follows from the ledger: write an entry instead of %', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER lots_follow BEFORE INSERT OR UPDATE OR DELETE ON lots
    FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION refuse_hand();
CREATE TRIGGER balances_follow BEFORE INSERT OR UPDATE OR DELETE ON balances
    FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION refuse_hand();

-- Causes that earn nothing: taken back before they could, over the governor's limits, held out, or by rule. `inputs`
-- is what the rule looked at, so that other rules can be tried on it.
CREATE TABLE withheld (
    cause       text PRIMARY KEY,
    customer_id text NOT NULL,
    issue_id    uuid NOT NULL,
    code        text NOT NULL,
    at          timestamptz NOT NULL,
    order_id    text,
    points      bigint NOT NULL DEFAULT 0,
    review_by   timestamptz,
    inputs      jsonb,
    staff       text,
    note        text
);
CREATE INDEX withheld_of_issue ON withheld (issue_id);
CREATE INDEX withheld_in_review ON withheld (review_by) WHERE review_by IS NOT NULL;

-- A customer's tier, and up to which day of expiry they were told.
CREATE TABLE members (
    customer_id text PRIMARY KEY,
    tier        text NOT NULL,
    since       timestamptz,
    until       timestamptz,
    told_until  date
);

-- Orders, as far as points need them: no name, no address.
CREATE TABLE orders (
    key         text PRIMARY KEY,
    version     bigint NOT NULL,
    body        jsonb NOT NULL,
    customer_id text GENERATED ALWAYS AS (body ->> 'customer_id') STORED
);
CREATE INDEX orders_of_customer ON orders (customer_id);

CREATE TABLE refunds (
    refund_id   uuid PRIMARY KEY,
    customer_id text NOT NULL,
    order_id    text NOT NULL,
    amount      numeric NOT NULL,
    currency    text NOT NULL,
    at          timestamptz NOT NULL
);
CREATE INDEX refunds_of_order ON refunds (order_id);

CREATE TABLE birthdays (
    customer_id text PRIMARY KEY,
    month_day   text NOT NULL CHECK (month_day ~ '^[01][0-9]-[0-3][0-9]$')
);

-- Who was drawn for which arm of the holdout, from when on: written once per customer and experiment.
CREATE TABLE exposures (
    customer_id text NOT NULL,
    experiment  text NOT NULL,
    arm         text NOT NULL CHECK (arm IN ('words', 'points')),
    at          timestamptz NOT NULL,
    PRIMARY KEY (experiment, customer_id)
);

-- What the ledger said so far, in its new words. Points of before expire a year after they became spendable.
INSERT INTO entries (entry_id, customer_id, number, kind, cause, lot_id, from_account, to_account, points, at, text,
                     issue_id, what, rule, rule_version, legal_basis, counts_for_tier, expires_on, inputs)
SELECT e.entry_id, e.customer_id, e.number, e.kind, e.cause, g.entry_id,
    CASE WHEN e.kind = 'grant' THEN 'issued' WHEN e.kind = 'vest' OR e.pending < 0 THEN 'pending'
         ELSE 'available' END,
    CASE e.kind WHEN 'grant' THEN 'pending' WHEN 'vest' THEN 'available' ELSE 'issued' END,
    greatest(abs(e.pending), abs(e.final)), e.at,
    CASE e.kind WHEN 'grant' THEN 'apology' WHEN 'vest' THEN 'vested' ELSE 'issue_reopened' END,
    e.issue_id, v.what, v.rule, v.rule_version, v.legal_basis, v.counts, v.expires_on, v.inputs
FROM entries_before e
JOIN entries_before g ON g.cause = e.cause AND g.kind = 'grant'
LEFT JOIN LATERAL (
    SELECT 'apology' AS what, e.rule, e.rule_version, 'after_service' AS legal_basis, false AS counts,
           (e.at + interval '380 days')::date AS expires_on, '{}'::jsonb AS inputs
    WHERE e.kind = 'grant'
) v ON true
ORDER BY e.customer_id, e.number;

INSERT INTO withheld (cause, customer_id, issue_id, code, at)
SELECT cause, customer_id, issue_id, 'taken_back', at FROM withheld_before;

-- Points that became final before there was an expiry: someone looks at them tomorrow.
INSERT INTO timers (aggregate, key, name, due_at)
SELECT 'ledger', customer_id, 'expiry', now() + interval '1 day' FROM balances WHERE available > 0;

DROP TABLE entries_before, withheld_before;
