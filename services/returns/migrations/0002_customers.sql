-- What is out with each customer, and how it went before (`ledger`). A row is locked together with the cases of its
-- customer, so that two of them that are decided at once see each other.
CREATE TABLE customers (
    key     text   PRIMARY KEY,
    version bigint NOT NULL,
    body    jsonb  NOT NULL
) WITH (fillfactor = 80);

-- What each order was worth, and whether it arrived: the history that a customer's cap comes from. `place` is a keyed
-- hash of the address, to see that two orders went to one door without comparing, or showing, where that is.
ALTER TABLE destinations
    ADD COLUMN customer_id  text,
    ADD COLUMN value        numeric,
    ADD COLUMN currency     text,
    ADD COLUMN place        text,
    ADD COLUMN delivered_at timestamptz,
    ALTER COLUMN ship_to DROP NOT NULL;

CREATE INDEX destinations_customer ON destinations (customer_id) WHERE delivered_at IS NOT NULL;
CREATE INDEX destinations_place ON destinations (place, customer_id) WHERE place IS NOT NULL;
