"""Restoration of the ledger from its published events: the same entries, whatever happened; repeated, nothing more."""

from collections.abc import Sequence
from datetime import timedelta

from hypothesis import given

from libs.common.decisions.facts import Anomaly
from libs.common.events.envelope import Payload
from libs.common.events.loyalty import PointsRedeemed, PointsReserved
from libs.common.postgres.pool import Connection
from services.loyalty.domain.restoration import HANDLERS, restore
from services.loyalty.ledger.accounts import PointsAccount
from services.loyalty.ledger.entries import Entry
from services.loyalty.store.restoration import restore_ledger
from tests.loyalty.histories import CUSTOMER, HOLD, LEDGER_RULES, InMemoryLedger, adjust, commit, reserve, resolved
from tests.loyalty.test_ledger_properties import Step, apply_step, extended, histories


def restored(events: Sequence[Payload]) -> tuple[PointsAccount, list[Entry], list[Anomaly]]:
    """Restore an empty account; an event whose entry is there already is left out, as in the database."""
    account, entries, anomalies = PointsAccount(CUSTOMER), list[Entry](), list[Anomaly]()
    for event in events:
        if type(event) in HANDLERS and getattr(event, "entry_id", None) not in {each.entry_id for each in entries}:
            account, facts = restore(account, event, LEDGER_RULES)
            entries += [fact for fact in facts if isinstance(fact, Entry)]
            anomalies += [fact for fact in facts if isinstance(fact, Anomaly)]
    return account, entries, anomalies


def movements(entries: Sequence[Entry]) -> list[tuple[object, ...]]:
    return [(e.entry_id, e.cause, e.lot_id, e.from_account, e.to_account, e.points, e.at) for e in entries]


@extended
@given(histories)
def test_the_events_of_any_history_restore_the_same_entries(history: list[Step]) -> None:
    ledger = InMemoryLedger()
    for step in history:
        apply_step(ledger, step)
    account, entries, anomalies = restored(ledger.events)
    assert movements(entries) == movements(ledger.entries)
    assert (account.balances, anomalies) == (ledger.account.balances, [])


def spent_points() -> InMemoryLedger:
    return InMemoryLedger().apply(resolved(), adjust(200)).advance(HOLD).apply(reserve(600), commit())


async def test_points_that_were_spent_after_the_backup_cannot_be_spent_again(conn: Connection) -> None:
    async with conn.transaction():
        await restore_ledger(conn, LEDGER_RULES, spent_points().events)
    assert dict(await conn.fetchrow("SELECT available, spent FROM balances") or {}) == {"available": 149, "spent": 600}


async def test_restoring_twice_changes_nothing(conn: Connection) -> None:
    events = spent_points().events
    async with conn.transaction():
        await restore_ledger(conn, LEDGER_RULES, events)
    before = await conn.fetch("SELECT * FROM entries ORDER BY number")
    async with conn.transaction():
        again = await restore_ledger(conn, LEDGER_RULES, events)
    assert await conn.fetch("SELECT * FROM entries ORDER BY number") == before
    assert (again.events, again.refused) == (0, ())


async def test_points_that_vest_after_the_restore_have_their_timer(conn: Connection) -> None:
    ledger = InMemoryLedger().apply(resolved())
    async with conn.transaction():
        await restore_ledger(conn, LEDGER_RULES, ledger.events)
    due = {row["name"]: row["due_at"] for row in await conn.fetch("SELECT name, due_at FROM timers")}
    assert due == ledger.timers


async def test_a_redemption_of_points_that_are_not_there_is_named(conn: Connection) -> None:
    events = [each for each in spent_points().events if isinstance(each, PointsReserved | PointsRedeemed)]
    async with conn.transaction():
        result = await restore_ledger(conn, LEDGER_RULES, events)
    assert [text.partition(":")[0] for text in result.refused] == ["insufficient_points", "unknown_redemption"]


async def test_an_unfinished_reservation_ends_at_its_own_time(conn: Connection) -> None:
    ledger = InMemoryLedger().apply(resolved()).advance(HOLD).apply(reserve(500))
    async with conn.transaction():
        await restore_ledger(conn, LEDGER_RULES, ledger.events)
    reservation = "SELECT due_at FROM timers WHERE name LIKE 'reservation:%'"
    assert await conn.fetchval(reservation) == ledger.now + timedelta(minutes=LEDGER_RULES.award.reservation_minutes)
