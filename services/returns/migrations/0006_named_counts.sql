-- Kept counts by everything that they name: boxes of several issues or orders, and their parts and inspections by the box.
CREATE INDEX kept_counts_lines ON kept_counts USING gin (
    jsonb_path_query_array(body, '$.lines[*].issue_id'), jsonb_path_query_array(body, '$.lines[*].order_id')
) WHERE matched_at IS NULL AND settled_at IS NULL;
CREATE INDEX kept_counts_order ON kept_counts (order_id) WHERE matched_at IS NULL AND settled_at IS NULL;
CREATE INDEX kept_counts_receipt ON kept_counts (left(body ->> 'receipt_id', 100) COLLATE "C");
