-- Search of staff by fragments. `tokens` are keyed hashes of parts of a person (services/intake/domain/search_tokens.py).
-- Numbers name no person: they are found by their beginning, and by their end through the reversed text.
ALTER TABLE order_contacts ADD COLUMN tokens integer[] NOT NULL DEFAULT '{}';
CREATE INDEX order_contacts_tokens ON order_contacts USING gin (tokens);
CREATE INDEX issues_order_begins ON issues (lower(order_id) text_pattern_ops);
CREATE INDEX issues_order_ends ON issues (reverse(lower(order_id)) text_pattern_ops);
CREATE INDEX order_contacts_begins ON order_contacts (lower(order_id) text_pattern_ops);
CREATE INDEX order_contacts_ends ON order_contacts (reverse(lower(order_id)) text_pattern_ops);
CREATE INDEX order_contacts_number_begins ON order_contacts (lower(order_number) text_pattern_ops)
    WHERE order_number IS NOT NULL;
CREATE INDEX order_contacts_number_ends ON order_contacts (reverse(lower(order_number)) text_pattern_ops)
    WHERE order_number IS NOT NULL;
CREATE INDEX timeline_tracking_begins ON timeline (lower(data ->> 'tracking_number') text_pattern_ops)
    WHERE type IN ('issue.replacement_shipped.v1', 'issue.replacement_part_shipped.v1', 'issue.replacement_tracked.v1');
CREATE INDEX timeline_tracking_ends ON timeline (reverse(lower(data ->> 'tracking_number')) text_pattern_ops)
    WHERE type IN ('issue.replacement_shipped.v1', 'issue.replacement_part_shipped.v1', 'issue.replacement_tracked.v1');
