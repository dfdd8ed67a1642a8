-- `sealed` holds name, addresses and recipient, `requested_sealed` the requested address, encrypted; their own columns
-- are empty then. The digests of addresses remain, by which suppressed addresses are found.
ALTER TABLE contacts
    ADD COLUMN sealed bytea,
    ADD COLUMN requested_sealed bytea,
    ADD COLUMN email_digest bytea,
    ADD COLUMN phone_digest bytea,
    ADD COLUMN recipient_email_digest bytea,
    ADD COLUMN recipient_phone_digest bytea;
ALTER TABLE preferences
    ADD COLUMN sealed bytea,
    ADD COLUMN phone_digest bytea,
    ADD COLUMN line_digest bytea;

-- The digest under the lookup key of one that was stored without a key; others are returned unchanged.
CREATE FUNCTION keyed_digest(lookup_key bytea, digest bytea) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN lookup_key = '' OR length(digest) <> 32 THEN digest ELSE '\x01' || sha256(lookup_key || digest) END
$$;
