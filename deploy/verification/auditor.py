"""The auditor: reads topics and databases from outside and checks the invariants of docs/explanation/invariants.md.

It shares no code with the services, so that their faults cannot hide themselves. Each check lists its violations with
the records that prove them; a check without sufficient data reports that instead of 0. `python -m deploy.verification`
runs it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from deploy.verification import (
    checks_boxes,
    checks_corrections,
    checks_customer,
    checks_events,
    checks_goods,
    checks_money,
    checks_order,
    checks_points,
    checks_requests,
    checks_trace,
)
from deploy.verification.evidence import DatabaseEvidence, Fact, History
from deploy.verification.order_versions import orders_to_compare
from deploy.verification.verdict import Check, Verdict, run_check

CHECKS: dict[str, Check] = {
    "ship_first": checks_goods.ship_first,
    "one_entitlement_per_unit": checks_goods.one_entitlement_per_unit,
    "nothing_lost": checks_events.nothing_lost,
    "nothing_twice": checks_events.nothing_twice,
    "in_order_per_issue": checks_order.in_order_per_issue,
    "no_silence": checks_events.no_silence,
    "counted_units": checks_goods.counted_units,
    "free_of_charge": checks_goods.free_of_charge,
    "notice_before_promise_breaks": checks_customer.notice_before_promise_breaks,
    "points_once": checks_points.points_once,
    "balances_equal_sums": checks_points.balances_equal_sums,
    "one_trace": checks_trace.one_trace,
    "personal_data": checks_customer.personal_data,
    "refunded_within_paid": checks_money.refunded_within_paid,
    "delivery_counts_once": checks_money.delivery_counts_once,
    "counted_goods": checks_boxes.counted_goods,
    "counted_money": checks_money.counted_money,
    "requests_answered": checks_requests.requests_answered,
    "corrections_count": checks_corrections.corrections_count,
}
NUMBERS = dict(zip(CHECKS, (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 11, 12, 13, 14, 15, 15, 17, 18), strict=True))
"""The invariant of docs/explanation/invariants.md that each check is about."""

TOPICS = (
    "storefront.orders",
    "storefront.issues",
    "warehouse.orders",
    "warehouse.events",
    "carrier.orders",
    "carrier.events",
    "payment.orders",
    "payment.events",
    "issues",
    "notices",
    "loyalty",
    "product.alerts",
    "anomalies",
    "messages",
    "customers",
    "storefront.customers",
    "storefront.consents",
    "events.rejected",
)

COMMON_QUERIES = {
    "outbox": "SELECT id, topic, key FROM outbox_records",
    "dead_letters": """SELECT aggregate, topic, "partition", "offset", key, reason, error FROM dead_letters
                 WHERE state IN ('open', 'replaying')""",
    "timers": "SELECT aggregate, key, name, due_at FROM timers",
}
SERVICE_QUERIES = {
    "intake": {
        "entitlements": "SELECT order_id, line_id, unit_number, generation, issue_id FROM entitlements",
        "timeline": "SELECT issue_id, event_id FROM timeline ORDER BY issue_id, position",
    },
    "returns": {
        "kept_counts": """SELECT count_id, issue_id, from_issue, matched_at, settled_at,
            body ->> 'received_at' AS received_at,
            (SELECT sum((l ->> 'quantity')::int) FROM jsonb_path_query(body, '$.lines[*]') l) AS units,
            (SELECT array_agg(i #>> '{}') FROM jsonb_path_query(body, '$.lines[*].issue_id') i) AS named_issues
            FROM kept_counts""",
        "early_counts": """SELECT data ->> 'received_at' AS received_at,
            (SELECT sum((l ->> 'quantity')::int) FROM jsonb_path_query(data, '$.lines[*]') l) AS units
            FROM (SELECT convert_from(body, 'UTF8')::jsonb AS event FROM early_events WHERE applied_at IS NULL) e
            CROSS JOIN LATERAL (SELECT event -> 'data' AS data) d
            WHERE event ->> 'type' = 'item.received.v1'""",
    },
    "delivery_notify": {"notices": "SELECT notice_id, status, due_at FROM notices"},
    "loyalty": {
        "entries": "SELECT customer_id, kind, cause, lot_id, from_account, to_account, points FROM entries",
        "balances": "SELECT * FROM balances",
        "lots": "SELECT * FROM lots",
        "orders": "SELECT key AS order_id, body ->> 'kept_amount' AS kept_amount FROM orders",
    },
}

_LINES = "SELECT key AS order_id, l ->> 'line_id' AS line_id, (l ->> 'quantity')::int AS quantity FROM"
_LINES_BY_ID = "SELECT t.key AS order_id, l.key AS line_id, (l.value ->> 'quantity')::int AS quantity FROM"
_DELIVERED = """SELECT key AS order_id, l ->> 'line_id' AS line_id, sum((l ->> 'quantity')::int) AS quantity
    FROM {}, jsonb_path_query(body::jsonb, '$.deliveries[*].lines[*]') l WHERE key = ANY($1) GROUP BY 1, 2"""
ORDER_QUERIES = {
    "intake": {
        "order_lines": f"{_LINES} orders, jsonb_path_query(body, '$.purchase.lines[*]') l WHERE key = ANY($1)",
        "delivered": _DELIVERED.format("orders"),
    },
    "returns": {
        "order_lines": f"{_LINES_BY_ID} order_ledgers t, jsonb_each(body -> 'lines') l WHERE t.key = ANY($1)",
        "delivered": _DELIVERED.format("order_ledgers"),
    },
    "delivery_notify": {
        "order_lines": f"{_LINES} conversations, jsonb_path_query(body::jsonb, '$.lines[*]') l WHERE key = ANY($1)",
        "delivered": _DELIVERED.format("conversations"),
    },
    "loyalty": {
        "order_lines": f"{_LINES_BY_ID} orders t, jsonb_each(body -> 'prices') l WHERE t.key = ANY($1)",
        "delivered": _DELIVERED.format("orders"),
    },
}
"""Of orders with several versions only: what each service holds of their lines and deliveries."""


def audit(history: History) -> list[Verdict]:
    return [run_check(name, check, history) for name, check in CHECKS.items()]


async def read_topics(
    bootstrap_servers: str,
    prefix: str = "",
    topics: Sequence[str] = TOPICS,
    kafka_options: Mapping[str, Any] | None = None,
) -> list[Fact]:
    """Every present record, in order per topic and partition."""
    consumer = AIOKafkaConsumer(
        *(prefix + topic for topic in topics),
        bootstrap_servers=bootstrap_servers,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=4 * 1024 * 1024,
        **(kafka_options or {}),
    )
    await consumer.start()
    try:
        ends = await consumer.end_offsets(sorted(consumer.assignment()))
        facts: dict[TopicPartition, list[Fact]] = {tp: [] for tp in sorted(ends)}
        while await _behind(consumer, ends):
            for tp, records in (await consumer.getmany(timeout_ms=1500)).items():
                facts[tp].extend(_fact(record, prefix) for record in records)
        return [fact for each in facts.values() for fact in each]
    finally:
        await consumer.stop()


async def _behind(consumer: Any, ends: Mapping[TopicPartition, int]) -> bool:
    return any([await consumer.position(tp) < end for tp, end in ends.items()])


def _fact(record: Any, prefix: str) -> Fact:
    return Fact(
        topic=record.topic.removeprefix(prefix),
        partition=record.partition,
        offset=record.offset,
        key=(record.key or b"").decode("utf-8", "replace"),
        value=record.value or b"",
        written_ms=record.timestamp,
        headers={name: (value or b"").decode("utf-8", "replace") for name, value in record.headers},
    )


async def read_database(
    service: str, url: str, personal_words: Sequence[str], orders: Sequence[str] = ()
) -> DatabaseEvidence:
    """The rows that the checks need, the lines of these orders, and the tables with any of these personal words."""
    conn = await asyncpg.connect(url)
    try:
        evidence = DatabaseEvidence()
        names = [row["table_name"] for row in await conn.fetch(_TABLES)]
        for table, query in {**COMMON_QUERIES, **SERVICE_QUERIES.get(service, {})}.items():
            if table in names:
                evidence.tables[table] = [dict(row) for row in await conn.fetch(query)]
        for table, query in ORDER_QUERIES.get(service, {}).items() if orders else ():
            evidence.tables[table] = [dict(row) for row in await conn.fetch(query, list(orders))]
        patterns = [f"%{word}%" for word in personal_words]
        for table in names:
            quoted = '"' + table.replace('"', '""') + '"'
            query = f"SELECT count(*) FROM {quoted} AS t WHERE t::text LIKE ANY($1)"  # noqa: S608 - from the catalogue
            evidence.personal[table] = await conn.fetchval(query, patterns)
        return evidence
    finally:
        await conn.close()


_TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
SAMPLED_ORDERS = 40


async def read_history(
    bootstrap_servers: str,
    prefix: str,
    databases: Mapping[str, str],
    zone: ZoneInfo,
    now: datetime,
    kafka_options: Mapping[str, Any] | None = None,
) -> History:
    facts = await read_topics(bootstrap_servers, prefix, kafka_options=kafka_options)
    placed = [fact for fact in facts if fact.type == "order.placed"]
    step = max(1, len(placed) // SAMPLED_ORDERS)
    people = sorted({word for fact in placed[::step] for word in checks_customer.personal_words(fact)})
    orders = orders_to_compare(facts)
    read = {service: await read_database(service, url, people, orders) for service, url in databases.items()}
    return History(facts, zone, now, read)


def truncated_topics(history: History) -> list[str]:
    """Topics that have lost their first records to retention, so that older issues and orders are incomplete."""
    first: dict[tuple[str, int], int] = {}
    for fact in history.facts:
        place = (fact.topic, fact.partition)
        first[place] = min(first.get(place, fact.offset), fact.offset)
    return sorted({topic for (topic, _), offset in first.items() if offset})
