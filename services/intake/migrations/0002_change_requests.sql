-- Open requests of customers to cancel or change an order, for the desk. One event opens a row and another deletes it.
CREATE TABLE change_requests (
    choice_id uuid        PRIMARY KEY,
    order_id  text        NOT NULL,
    requested text        NOT NULL,
    since     timestamptz NOT NULL,
    due_at    timestamptz NOT NULL,
    reminders integer     NOT NULL DEFAULT 0
);
CREATE INDEX change_requests_due ON change_requests (due_at);
