-- When the customer gave the contact: an erasure takes what is older than itself.
ALTER TABLE contacts ADD COLUMN placed_at timestamptz;
CREATE INDEX contacts_of_customer ON contacts (customer_id);

-- What is looked for when its time is over.
CREATE INDEX contacts_placed_at ON contacts USING brin (placed_at);
CREATE INDEX notices_made_at ON notices USING brin (made_at);
