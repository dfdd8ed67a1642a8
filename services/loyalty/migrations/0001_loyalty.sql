-- Points ledger in double entry: every grant is a lot; an entry moves points of one lot from one account to another.
--
-- Each entry sums to zero by construction, so no entry can create or lose points. Balances are maintained by a trigger on
-- entries alone, so they are always sums of the ledger (invariant 10). Forbidden states (an account below zero,
-- available points beside a debt) are constraints on the sums.

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
    text            text NOT NULL,        -- public: code of a text in the customer's language
    issue_id        uuid,
    order_id        text,
    note            text,                 -- private: for staff only
    staff           text,
    due_at          timestamptz,          -- of a reservation: when it expires
    grant_kind      text,                 -- from here on: of grants only
    rule            text,
    rule_version    text,
    legal_basis     text,
    counts_for_tier boolean,
    expires_on      date,
    inputs          jsonb,

    CONSTRAINT entries_once_per_cause UNIQUE (cause, kind, lot_id, from_account),
    CONSTRAINT entries_number_unique UNIQUE (customer_id, number),
    CONSTRAINT entries_points_positive CHECK (points > 0),
    CONSTRAINT entries_number_positive CHECK (number > 0),
    CONSTRAINT entries_accounts_match_kind CHECK (
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
    CONSTRAINT grants_are_complete CHECK (
        (from_account = 'issued') = (lot_id = entry_id)
        AND (from_account <> 'issued' OR num_nonnulls(
            grant_kind, rule, rule_version, legal_basis, counts_for_tier, expires_on, inputs) = 7)
    ),
    CONSTRAINT adjustments_name_staff_and_note CHECK (
        kind <> 'adjust' OR (staff IS NOT NULL AND note IS NOT NULL)
    )
);
COMMENT ON TABLE entries IS 'append-only: a wrong entry is corrected by a compensating one';

-- The id of a grant is derived from its cause; this index also holds for ids from elsewhere.
CREATE UNIQUE INDEX entries_one_grant_per_cause ON entries (cause) WHERE from_account = 'issued';
CREATE INDEX entries_of_issue ON entries (issue_id) WHERE issue_id IS NOT NULL;

-- Points spent on an order, and those of them that were returned. The second condition keeps the planner from reading
-- the whole index for a question about something else than an order.
CREATE INDEX entries_spent_on_order ON entries (order_id) WHERE kind IN ('reserve', 'return') AND order_id IS NOT NULL;

CREATE FUNCTION reject_change_of_entries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only: write a compensating entry instead of %', TG_OP
        USING ERRCODE = 'restrict_violation';
END $$;

-- Exceptions: `erase_notes` empties private notes, `merge_accounts` gives the entries of a merged account to the one that
-- remains. Their settings apply only while they run; other roles that set them have no right to update.
CREATE TRIGGER entries_append_only BEFORE UPDATE OR DELETE ON entries
    FOR EACH STATEMENT WHEN (current_setting('sakidashi.erasing', true) IS DISTINCT FROM 'notes'
        AND current_setting('sakidashi.merging', true) IS DISTINCT FROM 'accounts')
    EXECUTE FUNCTION reject_change_of_entries();
CREATE TRIGGER entries_no_truncate BEFORE TRUNCATE ON entries
    FOR EACH STATEMENT EXECUTE FUNCTION reject_change_of_entries();

CREATE FUNCTION erase_notes(erased_customer_id text, until timestamptz) RETURNS void LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM set_config('sakidashi.erasing', 'notes', true);
    UPDATE entries SET note = 'erased'
    WHERE customer_id = erased_customer_id AND at <= until AND note IS NOT NULL AND note <> 'erased';
    PERFORM set_config('sakidashi.erasing', '', true);
END $$;

-- Points per account, of each grant and of each customer; `balances` is also the row to lock.
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
    CONSTRAINT lots_sum_to_zero CHECK (issued + pending + available + reserved + spent + expired + debt = 0),
    CONSTRAINT lots_not_negative CHECK (
        pending >= 0 AND available >= 0 AND reserved >= 0 AND spent >= 0 AND expired >= 0 AND issued <= 0
    )
) WITH (fillfactor = 80);
COMMENT ON TABLE lots IS 'derived: points of each grant per account, maintained by a trigger on entries';

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
    CONSTRAINT balances_sum_to_zero CHECK (issued + pending + available + reserved + spent + expired + debt = 0),
    CONSTRAINT balances_not_negative CHECK (
        pending >= 0 AND available >= 0 AND reserved >= 0 AND spent >= 0 AND expired >= 0 AND debt <= 0
    ),
    -- After a merge the debt of one account is paid by the points of the other, with entries of the same transaction.
    CONSTRAINT balances_debt_is_paid_first CHECK (
        debt = 0 OR available = 0 OR current_setting('sakidashi.merging', true) = 'accounts'
    )
) WITH (fillfactor = 80);
COMMENT ON TABLE balances IS 'derived: points of each customer per account, maintained by a trigger on entries';

-- SECURITY DEFINER: the sums are written with the owner's rights, so that no other role needs any.
-- Planner settings: a plan made while the tables are empty would scan them, and stays cached after they have grown.
CREATE FUNCTION update_sums() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = public, pg_temp
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    WITH moves AS (
        SELECT customer_id, lot_id, number, at, from_account AS account, -points AS points FROM new_entries
        UNION ALL
        SELECT customer_id, lot_id, number, at, to_account, points FROM new_entries
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
        SELECT customer_id, number, from_account AS account, -points AS points FROM new_entries
        UNION ALL
        SELECT customer_id, number, to_account, points FROM new_entries
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

CREATE TRIGGER entries_update_sums AFTER INSERT ON entries
    REFERENCING NEW TABLE AS new_entries FOR EACH STATEMENT EXECUTE FUNCTION update_sums();

CREATE FUNCTION reject_direct_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is derived from the ledger: write an entry instead of %', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER lots_reject_direct_change BEFORE INSERT OR UPDATE OR DELETE ON lots
    FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION reject_direct_change();
CREATE TRIGGER balances_reject_direct_change BEFORE INSERT OR UPDATE OR DELETE ON balances
    FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION reject_direct_change();

-- Causes that earn no points: reversed before they were granted, over the rate limits, in the control arm of the
-- holdout, or by rule. `inputs` are stored for the simulation of other rules.
CREATE TABLE withheld_grants (
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
CREATE INDEX withheld_grants_of_issue ON withheld_grants (issue_id);
CREATE INDEX withheld_grants_in_review ON withheld_grants (review_by) WHERE review_by IS NOT NULL;

-- A customer's tier, and the last day of expiry that was announced to them.
CREATE TABLE memberships (
    customer_id           text PRIMARY KEY,
    tier                  text NOT NULL,
    since                 timestamptz,
    until                 timestamptz,
    expiry_notified_until date
);

-- Orders as far as points need them: no name, no address.
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
    at          timestamptz NOT NULL,
    line_amounts text NOT NULL DEFAULT '{}',
    is_lost     boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE refunds IS 'append-only: money paid back';
CREATE INDEX refunds_of_order ON refunds (order_id);

-- `provided_at` is when the customer gave the birthday to the shop: an erasure deletes what is older than itself.
CREATE TABLE birthdays (
    customer_id text PRIMARY KEY,
    month_day   text NOT NULL CHECK (month_day ~ '^[01][0-9]-[0-3][0-9]$'),
    provided_at timestamptz
);

-- Arm of each customer in the holdout experiment, and the start of their follow-up.
CREATE TABLE experiment_exposures (
    customer_id text NOT NULL,
    experiment  text NOT NULL,
    arm         text NOT NULL CHECK (arm IN ('control', 'treatment')),
    at          timestamptz NOT NULL,
    PRIMARY KEY (experiment, customer_id)
);
COMMENT ON TABLE experiment_exposures IS 'append-only: assigned arms';

-- Merged accounts of one customer. An insert moves the ledger of the former account: its entries keep their ids, causes
-- and points and are numbered after those of the remaining account. So no point is lost or counted twice, and no unique
-- key can collide. A row without anything to move changes nothing.
CREATE TABLE account_merges (
    former_id      text        NOT NULL,
    customer_id    text        NOT NULL,
    merged_at      timestamptz NOT NULL,
    numbered_after bigint      NOT NULL,
    merge_id       bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    CHECK (former_id <> customer_id)
);
COMMENT ON TABLE account_merges IS 'append-only: merged accounts, and after which entry those of the former follow';

CREATE FUNCTION merge_accounts() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM set_config('sakidashi.merging', 'accounts', true);
    UPDATE entries SET customer_id = NEW.customer_id, number = number + NEW.numbered_after
    WHERE customer_id = NEW.former_id;
    UPDATE lots SET customer_id = NEW.customer_id WHERE customer_id = NEW.former_id;
    WITH moved AS (DELETE FROM balances WHERE customer_id = NEW.former_id RETURNING *)
    INSERT INTO balances AS b
    SELECT NEW.customer_id, number + NEW.numbered_after, issued, pending, available, reserved, spent, expired, debt
    FROM moved
    ON CONFLICT (customer_id) DO UPDATE SET
        number = excluded.number,
        issued = b.issued + excluded.issued, pending = b.pending + excluded.pending,
        available = b.available + excluded.available, reserved = b.reserved + excluded.reserved,
        spent = b.spent + excluded.spent, expired = b.expired + excluded.expired, debt = b.debt + excluded.debt;
    UPDATE refunds SET customer_id = NEW.customer_id WHERE customer_id = NEW.former_id;
    DELETE FROM experiment_exposures f USING experiment_exposures r
    WHERE f.customer_id = NEW.former_id AND r.customer_id = NEW.customer_id AND r.experiment = f.experiment;
    UPDATE experiment_exposures SET customer_id = NEW.customer_id WHERE customer_id = NEW.former_id;
    PERFORM set_config('sakidashi.merging', '', true);
    RETURN NULL;
END $$;
CREATE TRIGGER account_merges_move AFTER INSERT ON account_merges FOR EACH ROW EXECUTE FUNCTION merge_accounts();
