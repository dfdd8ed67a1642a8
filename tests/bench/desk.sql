-- A year of issues for the bench of the desk: {issues} of them, one in twenty still open. Written statement by statement.

INSERT INTO issues (issue_id, order_id, customer_id, reason, lines, reported_at, progress_status, lifecycle_status, progress_at, lifecycle_at)
SELECT md5('issue' || n)::uuid, 'O-' || n, 'C-' || n % ({issues} / 3), (ARRAY['defective', 'wrong_item', 'missing_part'])[1 + n % 3],
       '[{"line_id": "1", "quantity": 1}]', now() - n * interval '365 days' / {issues},
       CASE WHEN n % 20 = 0 THEN 'replacement_ordered' ELSE 'resolved' END,
       CASE WHEN n % 20 = 0 THEN 'accepted' ELSE 'resolved' END, now(), now()
FROM generate_series(1, {issues}::int) AS n;

INSERT INTO timeline (issue_id, event_id, at, type, data)
SELECT md5('issue' || n)::uuid, 'e' || k, now() - n * interval '365 days' / {issues} + k * interval '3 hours', types[k],
       '{"promised_ship_date": "2026-03-12", "ship_date": "2026-03-12", "kind": "replacement_promised",
          "expected_delivery_date": "2026-03-14", "points": 300, "language": "ja", "channel": "mail"}'
FROM generate_series(1, {issues}::int) AS n, generate_series(1, 12) AS k,
     (SELECT ARRAY['issue.reported.v1', 'issue.accepted.v1', 'notice.sent.v1', 'issue.replacement_ordered.v1',
                   'notice.sent.v1', 'issue.replacement_promised.v1', 'issue.replacement_shipped.v1',
                   'notice.sent.v1', 'issue.replacement_delivered.v1', 'notice.sent.v1', 'points.granted.v1',
                   'notice.sent.v1'] AS types) AS t;

INSERT INTO work_queue (issue_id, kind, about, detail, since, due_at)
SELECT md5('issue' || n)::uuid, 'progress', 'outbound', CASE WHEN n % 40 = 0 THEN 'ship 2026-03-12' ELSE 'order' END,
       now() - interval '2 days', now() + (n % 200 - 20) * interval '1 hour'
FROM generate_series(20, {issues}::int, 20) AS n;

INSERT INTO work_queue (issue_id, kind, about, detail, since, due_at)
SELECT md5('issue' || n)::uuid, kind, '1', '4', now() - interval '1 day', now() + (n % 48 - 12) * interval '1 hour'
FROM generate_series(20, {issues}::int, 200) AS n, unnest(ARRAY['review', 'unhappy', 'choice']) AS kind;

INSERT INTO issue_metrics (issue_id, reason, reported_at, answered_at, ordered_at, resolved_at, score, rated_at)
SELECT md5('issue' || n)::uuid, (ARRAY['defective', 'wrong_item', 'missing_part'])[1 + n % 3], at, at + interval '5 minutes',
       at + interval '1 minute', at + interval '9 days', n % 11, at + interval '10 days'
FROM (SELECT n, now() - n * interval '365 days' / {issues} AS at FROM generate_series(1, {issues}::int) AS n) AS s;

INSERT INTO reported_lines (issue_id, line_id, order_id, customer_id, sku, lot, reason, units, delivered_on, reported_at)
SELECT md5('issue' || n)::uuid, '1', 'O-' || n, 'C-' || n % ({issues} / 3), 'SKU-' || n % 300, '', 'defective', 1,
       (now() - n * interval '365 days' / {issues})::date, now() - n * interval '365 days' / {issues}
FROM generate_series(1, {issues}::int) AS n;
