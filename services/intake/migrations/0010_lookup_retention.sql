-- Retention of the order lookup. Its record stays append-only for the service: this function deletes nothing that is
-- younger than 30 days beside the newest row, whatever time it is called with.
CREATE INDEX order_lookups_at ON order_lookups (at);
CREATE FUNCTION delete_order_lookups(before timestamptz, most bigint) RETURNS SETOF bigint LANGUAGE sql
    SECURITY DEFINER SET search_path = public, pg_temp AS $$
    DELETE FROM order_lookups WHERE lookup_id IN (
        SELECT lookup_id FROM order_lookups
        WHERE at < least(before, (SELECT max(at) FROM order_lookups) - interval '30 days') LIMIT most)
    RETURNING lookup_id;
$$;

-- Contacts of orders that were corrected before they were placed had no time, and so no end.
UPDATE order_contacts SET placed_at = now() WHERE placed_at IS NULL;
