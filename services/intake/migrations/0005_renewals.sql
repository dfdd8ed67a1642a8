-- A replacement that has arrived is a piece of its own: it may be reported too. `renewal` counts the pieces that there
-- have been in the place of one that was bought, `renewed_on` is the day on which the next one arrived. Each of them has
-- one entitlement at most, as before; a row that was renewed stays, also where its issue is cancelled.
ALTER TABLE entitlements
    ADD COLUMN renewal    integer NOT NULL DEFAULT 0 CHECK (renewal >= 0),
    ADD COLUMN renewed_on date,
    DROP CONSTRAINT entitlements_pkey,
    ADD PRIMARY KEY (order_id, line_id, unit, renewal);
