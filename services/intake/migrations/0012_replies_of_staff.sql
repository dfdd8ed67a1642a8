-- Replies of staff stand beside the messages that they answer; `staff` is empty for those of customers.
ALTER TABLE customer_messages ADD COLUMN staff text;
