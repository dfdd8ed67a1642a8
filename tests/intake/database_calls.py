"""Batches of events on a database of intake, as its consumers write them."""

from zoneinfo import ZoneInfo

from libs.common.decisions.facts import Facts, Record
from libs.common.events.registry import AnyEvent
from libs.common.postgres.pool import Connection
from services.intake.store.orders import Orders
from services.intake.store.timeline import Timeline
from tests.intake.event_builders import NOON, RULES

ORDERS = Orders(RULES)
TIMELINE = Timeline(ZoneInfo("Asia/Tokyo"))


async def take(conn: Connection, *events: AnyEvent) -> list[Facts]:
    """Run one batch of the orders' aggregate as the consumer does."""
    async with conn.transaction():
        keys = sorted({key for event in events if (key := ORDERS.key_of(event))})
        contexts = dict(await ORDERS.load(conn, keys, events))
        changed, outcomes = {}, []
        for event in events:
            key = ORDERS.key_of(event) or ""
            before = contexts.get(key)
            after, facts = ORDERS.decide(before, event, NOON)
            if after is not None and after is not before:
                contexts[key] = changed[key] = after
            outcomes.append(facts)
        records = [fact for facts in outcomes for fact in facts if isinstance(fact, Record)]
        await ORDERS.save(conn, changed, records)
    return outcomes


async def apply(conn: Connection, *events: AnyEvent) -> None:
    """Run one batch of the timeline's aggregate."""
    records = [fact for event in events for fact in TIMELINE.decide(None, event, NOON)[1] if isinstance(fact, Record)]
    async with conn.transaction():
        await TIMELINE.save(conn, {}, records)


async def held(conn: Connection) -> set[tuple[str, int]]:
    return {
        (row["line_id"], row["unit_number"])
        for row in await conn.fetch("SELECT line_id, unit_number FROM entitlements")
    }


def kinds(facts: Facts) -> list[type]:
    return [type(fact) for fact in facts]
