-- One case per accepted issue, whole. `headline` is an index, written from the body with it and never read back.
CREATE TABLE cases (
    key       text    PRIMARY KEY,
    version   bigint  NOT NULL,
    body      jsonb   NOT NULL,
    headline  text    NOT NULL,
    in_review boolean NOT NULL,
    order_id  text    GENERATED ALWAYS AS (body ->> 'order_id') STORED
) WITH (fillfactor = 70);

CREATE INDEX cases_headline ON cases (headline, key);
CREATE INDEX cases_in_review ON cases (key) WHERE in_review;
CREATE INDEX cases_order ON cases (order_id);

-- Where the customer of an order lives: the only personal data of this service (invariant 12).
CREATE TABLE destinations (
    order_id text  PRIMARY KEY,
    ship_to  jsonb NOT NULL
);
