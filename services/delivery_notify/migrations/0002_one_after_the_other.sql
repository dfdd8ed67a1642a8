-- The order in which notices were made: those of one order of goods leave in it. Rows of one order are written under
-- the lock of its conversation, so that places follow the decisions.
ALTER TABLE notices ADD COLUMN place bigint GENERATED ALWAYS AS IDENTITY;

-- By `settled_at` and not by `status`: a claim then changes no column that an index knows (a heap-only update).
DROP INDEX notices_to_send;
CREATE INDEX notices_to_send ON notices (due_at, place) WHERE settled_at IS NULL;
DROP INDEX notices_of_order;
CREATE INDEX notices_of_order ON notices (order_id, place);
