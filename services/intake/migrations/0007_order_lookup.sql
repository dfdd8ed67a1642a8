-- Contact and postcode of each order, the only personal data of orders here: for the order lookup of customers and for
-- staff. With column keys `sealed` holds it encrypted and `person` is empty, see services/intake/store/order_contacts.py.
-- `order_number` is the number that the customer knows, where that is not the order's id.
CREATE TABLE order_contacts (
    order_id     text        PRIMARY KEY,
    customer_id  text        NOT NULL,
    order_number text,
    placed_at    timestamptz,
    person       jsonb,
    sealed       bytea
);
CREATE INDEX order_contacts_customer ON order_contacts (customer_id);
CREATE INDEX order_contacts_number ON order_contacts (order_number) WHERE order_number IS NOT NULL;
CREATE INDEX order_contacts_placed ON order_contacts (placed_at);

-- Attempts at the order lookup that found nothing, by the keyed digest of the caller's network or of the order number
-- that was typed; deleted as they age.
CREATE TABLE order_lookup_attempts (
    subject bytea       NOT NULL,
    at      timestamptz NOT NULL
);
CREATE INDEX order_lookup_attempts_subject ON order_lookup_attempts (subject, at);
CREATE INDEX order_lookup_attempts_at ON order_lookup_attempts (at);

-- Uses of the order lookup. `number_digest` is the keyed digest of the number that was typed, `order_id` the order that
-- was found; `reader` is the customer, or the receiver of a gift.
CREATE TABLE order_lookups (
    at            timestamptz NOT NULL,
    lookup_id     bigint      PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    proof         text        NOT NULL,
    number_digest bytea       NOT NULL,
    order_id      text,
    reader        text
);
CREATE INDEX order_lookups_order ON order_lookups (order_id, at) WHERE order_id IS NOT NULL;
COMMENT ON TABLE order_lookups IS 'append-only: uses of the order lookup';
