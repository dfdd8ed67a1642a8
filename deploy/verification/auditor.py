"""The auditor: reads the topics and the databases from outside and judges every invariant of the design, section 5.

It shares no code with the services, so that a fault of theirs cannot hide itself. Each check lists its violations with
the records that show them; a check that the data cannot answer says so instead of giving 0.

    python -m deploy.verification.auditor --database-url intake=postgres://... --bootstrap-servers ... --prefix ...
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import asyncpg
import typer
from aiokafka import AIOKafkaConsumer, TopicPartition

from deploy.verification import checks_customer, checks_events, checks_goods, checks_points
from deploy.verification.evidence import Database, Fact, History
from deploy.verification.verdict import Check, Verdict, judge

CHECKS: dict[str, Check] = {
    "ship_first": checks_goods.ship_first,
    "one_entitlement_per_unit": checks_goods.one_entitlement_per_unit,
    "nothing_lost": checks_events.nothing_lost,
    "nothing_twice": checks_events.nothing_twice,
    "in_order_per_issue": checks_events.in_order_per_issue,
    "no_silence": checks_events.no_silence,
    "counted_units": checks_goods.counted_units,
    "free_of_charge": checks_goods.free_of_charge,
    "notice_before_promise_breaks": checks_customer.notice_before_promise_breaks,
    "points_once": checks_points.points_once,
    "one_trace": checks_events.one_trace,
    "personal_data": checks_customer.personal_data,
    "balances_equal_sums": checks_points.balances_equal_sums,
}
"""In the order of the design; then what belongs to one of them and is a question of its own."""

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
    "customers",
)

QUERIES = {
    "outbox": "SELECT id, topic, key FROM outbox",
    "dead_letters": """SELECT aggregate, topic, "partition", "offset", key, reason, error FROM dead_letters
                 WHERE state IN ('open', 'replaying')""",
    "timers": "SELECT aggregate, key, name, due_at FROM timers",
}
OWN_QUERIES = {
    "intake": {
        "entitlements": "SELECT order_id, line_id, unit_number, generation, issue_id FROM entitlements",
        "timeline": "SELECT issue_id, event_id FROM timeline ORDER BY issue_id, position",
    },
    "returns": {},
    "delivery_notify": {"notices": "SELECT notice_id, status, due_at FROM notices"},
    "loyalty": {
        "entries": "SELECT customer_id, kind, cause, lot_id, from_account, to_account, points FROM entries",
        "balances": "SELECT * FROM balances",
        "lots": "SELECT * FROM lots",
    },
}


def audit(history: History) -> list[Verdict]:
    return [judge(name, check, history) for name, check in CHECKS.items()]


async def read_topics(bootstrap_servers: str, prefix: str = "", topics: Sequence[str] = TOPICS) -> list[Fact]:
    """Every record that is there now, per topic and partition in order."""
    consumer = AIOKafkaConsumer(
        *(prefix + topic for topic in topics),
        bootstrap_servers=bootstrap_servers,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=4 * 1024 * 1024,
    )
    await consumer.start()
    try:
        ends = await consumer.end_offsets(sorted(consumer.assignment()))
        facts: dict[TopicPartition, list[Fact]] = {tp: [] for tp in sorted(ends)}
        # Until nothing comes any more: the embedded broker's end offsets leave out all but the first of a last batch.
        while (found := await consumer.getmany(timeout_ms=1500)) or await _behind(consumer, ends):
            for tp, records in found.items():
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


async def read_database(service: str, url: str, people: Sequence[str]) -> Database:
    """The rows that the checks need, and in which tables one of these people is named."""
    conn = await asyncpg.connect(url)
    try:
        found = Database()
        names = [row["table_name"] for row in await conn.fetch(_TABLES)]
        for table, query in {**QUERIES, **OWN_QUERIES.get(service, {})}.items():
            if table in names:
                found.tables[table] = [dict(row) for row in await conn.fetch(query)]
        patterns = [f"%{word}%" for word in people]
        for table in names:
            quoted = '"' + table.replace('"', '""') + '"'
            query = f"SELECT count(*) FROM {quoted} AS t WHERE t::text LIKE ANY($1)"  # noqa: S608 - from the catalogue
            found.personal[table] = await conn.fetchval(query, patterns)
        return found
    finally:
        await conn.close()


_TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
PEOPLE_LOOKED_FOR = 40


async def read_history(
    bootstrap_servers: str, prefix: str, databases: Mapping[str, str], zone: ZoneInfo, now: datetime
) -> History:
    facts = await read_topics(bootstrap_servers, prefix)
    placed = [fact for fact in facts if fact.type == "order.placed"]
    step = max(1, len(placed) // PEOPLE_LOOKED_FOR)
    people = sorted({word for fact in placed[::step] for word in checks_customer.personal_words(fact)})
    read = {service: await read_database(service, url, people) for service, url in databases.items()}
    return History(facts, zone, now, read)


def main(
    database_url: Annotated[list[str], typer.Option(help="service=url, once per service")],
    bootstrap_servers: Annotated[str, typer.Option(envvar="KAFKA_BOOTSTRAP_SERVERS")],
    prefix: Annotated[str, typer.Option(envvar="KAFKA_TOPIC_PREFIX")] = "",
    zone: Annotated[str, typer.Option(envvar="SHOP_TIME_ZONE")] = "Asia/Tokyo",
    logs: Annotated[Path | None, typer.Option(help="folder of log files to look through")] = None,
) -> None:
    """Judge a running or stopped system; the exit code is 1 where an invariant is violated."""
    databases = dict(part.split("=", 1) for part in database_url)
    history = asyncio.run(read_history(bootstrap_servers, prefix, databases, ZoneInfo(zone), datetime.now(UTC)))
    if logs:
        history.logs = {file.name: file.read_text(errors="replace") for file in logs.glob("*.log")}
    verdicts = audit(history)
    typer.echo(json.dumps({verdict.name: _told(verdict) for verdict in verdicts}, indent=2, ensure_ascii=False))
    raise typer.Exit(any(verdict.violations for verdict in verdicts))


def _told(verdict: Verdict) -> Any:
    if verdict.violations is None:
        return f"not judged: {verdict.reason}"
    return [{"what": each.what, "shown_by": each.shown_by} for each in verdict.violations]


if __name__ == "__main__":
    typer.run(main)
