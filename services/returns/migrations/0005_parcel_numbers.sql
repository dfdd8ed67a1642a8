-- Tracking numbers of replacements: whose parcel a carrier or warehouse speaks of. Carriers use numbers again, so rows are
-- deleted after some months.
CREATE TABLE parcel_numbers (
    number    text        NOT NULL,
    issue_id  uuid        NOT NULL,
    stated_at timestamptz NOT NULL,
    PRIMARY KEY (number, issue_id)
);
CREATE INDEX parcel_numbers_stated_at ON parcel_numbers USING brin (stated_at);

INSERT INTO parcel_numbers (number, issue_id, stated_at)
SELECT DISTINCT regexp_replace(upper(p ->> 'tracking_number'), '[^[:alnum:]]', '', 'g'), key::uuid, now()
FROM cases, jsonb_path_query(body::jsonb, '$.**.parcels[*] ? (@.tracking_number != null)') p
WHERE is_open;
