-- Holder of each component of a unit, where the order names components. Who holds a whole unit holds a row here for each
-- of its components too: the primary key then excludes a remedy for a unit and one for a part of it at the same time.
-- The columns mean the same as in `entitlements`; generations count per component.
CREATE TABLE part_entitlements (
    order_id    text    NOT NULL,
    line_id     text    NOT NULL,
    unit_number integer NOT NULL CHECK (unit_number >= 1),
    component   text    NOT NULL,
    issue_id    uuid    NOT NULL,
    generation  integer NOT NULL DEFAULT 0 CHECK (generation >= 0),
    replaced_on date,
    resent_by   uuid,
    PRIMARY KEY (order_id, line_id, unit_number, component, generation)
);
