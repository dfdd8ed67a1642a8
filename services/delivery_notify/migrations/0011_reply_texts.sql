-- Words of replies by staff, encrypted with column keys, see services/delivery_notify/store/reply_texts.py. They go with
-- their notice, and with the customer's data.
CREATE TABLE reply_texts (
    notice_id uuid  PRIMARY KEY REFERENCES notices ON DELETE CASCADE,
    content   bytea NOT NULL
);
