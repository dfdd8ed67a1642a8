-- When the customer gave the address: an erasure takes what is older than itself.
ALTER TABLE destinations ADD COLUMN placed_at timestamptz;
CREATE INDEX destinations_of_customer ON destinations (customer_id);

-- What is looked for when its time is over.
CREATE INDEX destinations_placed_at ON destinations USING brin (placed_at);
