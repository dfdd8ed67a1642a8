-- What the customer bought the last time, where the shop told us.
ALTER TABLE contacts ADD COLUMN last_purchased_item text;
