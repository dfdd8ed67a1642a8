-- Personal data: `ship_to_digest` recognizes a change of the delivery address; `former` holds the contacts that were left
-- behind, by the id of the notice that is sent to them. Both are in `sealed` where that is used. The `address_digest` of
-- such a notice is set when it is created.
ALTER TABLE contacts
    ADD COLUMN ship_to_digest text,
    ADD COLUMN former jsonb;
