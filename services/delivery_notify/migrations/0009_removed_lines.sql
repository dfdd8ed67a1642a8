-- A line that was removed (quantity 0) ended at its removal, unless units of it had moved before. Outcomes counted so far
-- left it open, or gave it the shipment of another line.
WITH removed AS (
    SELECT c.key AS order_id, l ->> 'line_id' AS line_id, (l ->> 'stated_at')::timestamptz AS at
    FROM conversations c CROSS JOIN json_array_elements(c.body -> 'lines') AS l
    WHERE (l ->> 'quantity')::int = 0 AND NOT EXISTS (
        SELECT FROM (VALUES ('shipments'), ('deliveries')) AS k (name)
        CROSS JOIN json_array_elements(c.body -> k.name) AS s
        CROSS JOIN json_array_elements(s -> 'lines') AS u
        WHERE s ->> 'at' IS NOT NULL AND u ->> 'line_id' = l ->> 'line_id' AND (u ->> 'quantity')::int > 0)),
made AS (
    SELECT order_id, subject, subject_id, min(promised_at) AS at FROM promises GROUP BY order_id, subject, subject_id)
UPDATE promise_outcomes o SET done_at = NULL, ended_at = coalesce(o.ended_at, r.at, m.at)
FROM removed r JOIN made m USING (order_id)
WHERE (o.order_id, o.subject_id) = (r.order_id, r.line_id) AND o.subject IN ('line', 'delivery')
  AND (m.subject, m.subject_id) = (o.subject, o.subject_id);
