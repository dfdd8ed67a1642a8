-- Messages that customers wrote, by mail. `content` is JSON with sender, subject and text, encrypted with column keys, see
-- services/intake/store/customer_messages.py. A message without an issue is an anomaly for staff. `photos` are evidence of
-- the issue now; `refused_files` were no pictures, unreadable, or too many.
CREATE TABLE customer_messages (
    message_id    uuid        PRIMARY KEY,
    issue_id      uuid,
    order_id      text,
    customer_id   text,
    received_at   timestamptz NOT NULL,
    content       bytea       NOT NULL,
    photos        integer     NOT NULL,
    refused_files integer     NOT NULL
);
CREATE INDEX customer_messages_issue ON customer_messages (issue_id, received_at) WHERE issue_id IS NOT NULL;
CREATE INDEX customer_messages_customer ON customer_messages (customer_id) WHERE customer_id IS NOT NULL;
CREATE INDEX customer_messages_received_at ON customer_messages USING brin (received_at);
-- A mail address for answers names an order by this digest (libs/common/http/reply_addresses.py).
CREATE INDEX orders_digest ON orders (md5(key));
