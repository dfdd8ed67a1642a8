-- Outcome of the promises of each line and replacement so far: the accuracy of first dates and the forecast read it. A
-- name or time that is not known is null. `ended_at`: nothing was owed any more though it was not done.
CREATE TABLE promise_outcomes (
    order_id      text        NOT NULL,
    subject       text        NOT NULL,
    subject_id    text        NOT NULL,
    warehouse     text,
    carrier       text,
    product_group text,
    done_at       timestamptz,
    ended_at      timestamptz,
    PRIMARY KEY (order_id, subject, subject_id)
);
CREATE INDEX promises_day ON promises (day);

-- The first date of each subject that its customer was given: the lowest version that was announced.
CREATE VIEW first_dates AS
SELECT p.order_id, p.subject, p.subject_id, p.version, p.day
FROM promises p
WHERE EXISTS (
        SELECT FROM promise_notifications t WHERE (t.order_id, t.subject, t.subject_id, t.version)
            = (p.order_id, p.subject, p.subject_id, p.version))
    AND NOT EXISTS (
        SELECT FROM promises q JOIN promise_notifications t USING (order_id, subject, subject_id, version)
        WHERE (q.order_id, q.subject, q.subject_id) = (p.order_id, p.subject, p.subject_id) AND q.version < p.version);

-- Outcomes of the orders that are known already. Their product groups and carriers were not kept. A line that was
-- cancelled at an unknown time counts as ended before its date.
WITH lines AS (
    SELECT c.key AS order_id, l ->> 'line_id' AS line_id, (l ->> 'quantity')::int AS quantity,
           l ->> 'warehouse' AS warehouse,
           coalesce((l ->> 'cancelled')::bool, false) OR coalesce((l ->> 'cancel_requested')::bool, false) AS is_over
    FROM conversations c CROSS JOIN json_array_elements(c.body -> 'lines') AS l),
moved AS (
    SELECT c.key AS order_id, k.subject, u ->> 'line_id' AS line_id, (s ->> 'at')::timestamptz AS at,
           sum((u ->> 'quantity')::int) OVER (
               PARTITION BY c.key, k.subject, u ->> 'line_id' ORDER BY (s ->> 'at')::timestamptz) AS units
    FROM conversations c
    CROSS JOIN (VALUES ('line', 'shipments'), ('delivery', 'deliveries')) AS k (subject, name)
    CROSS JOIN json_array_elements(c.body -> k.name) AS s
    CROSS JOIN json_array_elements(s -> 'lines') AS u
    WHERE s ->> 'at' IS NOT NULL),
done AS (
    SELECT m.order_id, m.subject, m.line_id, min(m.at) AS at
    FROM moved m JOIN lines l USING (order_id, line_id) WHERE m.units >= l.quantity
    GROUP BY m.order_id, m.subject, m.line_id)
INSERT INTO promise_outcomes (order_id, subject, subject_id, warehouse, done_at, ended_at)
SELECT l.order_id, p.subject, l.line_id, l.warehouse,
       CASE p.subject WHEN 'delivery' THEN delivered.at ELSE least(shipped.at, delivered.at) END,
       CASE WHEN l.is_over AND delivered.at IS NULL AND (p.subject = 'delivery' OR shipped.at IS NULL)
            THEN p.promised_at END
FROM lines l
JOIN (SELECT order_id, subject, subject_id, min(promised_at) AS promised_at FROM promises
      WHERE subject IN ('line', 'delivery') GROUP BY order_id, subject, subject_id) AS p
    ON (p.order_id, p.subject_id) = (l.order_id, l.line_id)
LEFT JOIN done AS shipped ON (shipped.order_id, shipped.subject, shipped.line_id) = (l.order_id, 'line', l.line_id)
LEFT JOIN done AS delivered
    ON (delivered.order_id, delivered.subject, delivered.line_id) = (l.order_id, 'delivery', l.line_id)
ON CONFLICT DO NOTHING;

-- A replacement that was shipped is dated by the notice of its shipment.
INSERT INTO promise_outcomes (order_id, subject, subject_id, done_at, ended_at)
SELECT c.key, 'replacement', t #>> '{replacement,replacement_id}', sent.made_at,
       CASE WHEN t ->> 'closed_by' IS NOT NULL AND NOT coalesce((t #>> '{replacement,shipped}')::bool, false)
            THEN p.promised_at END
FROM conversations c
CROSS JOIN json_array_elements(c.body -> 'threads') AS t
JOIN (SELECT order_id, subject_id, min(promised_at) AS promised_at FROM promises
      WHERE subject = 'replacement' GROUP BY order_id, subject_id) AS p
    ON (p.order_id, p.subject_id) = (c.key, t #>> '{replacement,replacement_id}')
LEFT JOIN LATERAL (
    SELECT min(n.made_at) AS made_at FROM notices n
    WHERE n.order_id = c.key AND n.issue_id = (t ->> 'issue_id')::uuid AND n.kind = 'replacement_shipped') AS sent
    ON coalesce((t #>> '{replacement,shipped}')::bool, false)
WHERE sent.made_at IS NOT NULL OR NOT coalesce((t #>> '{replacement,shipped}')::bool, false)
ON CONFLICT DO NOTHING;
