"""Restoration of reports from published events: accepted reports hold as many units as before, and no unit twice."""

from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.decisions.facts import Ignored
from libs.common.events.envelope import Payload
from libs.common.events.issues import IssueAccepted, IssueCancelled, IssueEvent, IssueRejected, IssueReported
from libs.common.events.registry import AnyEvent
from libs.common.events.values import Reason
from libs.common.postgres.pool import Connection
from services.intake.domain.context import CommandRefused
from services.intake.domain.decide import SUBSCRIBES
from services.intake.domain.restoration import restore_order
from services.intake.store.restoration import moved_order, restore_reports
from tests.examples import examples
from tests.intake.database_calls import held, take
from tests.intake.event_builders import (
    CUSTOMER,
    NOON,
    ORDER,
    RULES,
    after,
    by_http,
    by_kafka,
    delivered,
    event,
    http_id,
    placed,
    shipped,
    submission,
)
from tests.intake.in_memory_store import InMemoryStore
from tests.intake.random_reports import beginnings, histories, run_history


@dataclass
class RecordingStore(InMemoryStore):
    """`topics` is what the topics hold: events of orders and reports that came, and events of issues."""

    topics: list[AnyEvent] = field(default_factory=list)

    def take_events(self, events: Sequence[AnyEvent]) -> list[Any]:
        self.topics += [each for each in events if type(each.data) in SUBSCRIBES]
        facts = super().take_events(events)
        self.topics += [event(fact, at=self.now) for fact in facts if isinstance(fact, IssueEvent)]
        return facts

    def apply(self, payload: Payload) -> None:
        self.topics.append(event(payload, at=self.now))
        super().apply(payload)


def restored(backup: RecordingStore, topics: Sequence[AnyEvent], now: datetime) -> InMemoryStore:
    """Restore a backup from what the topics hold since, and let it read them again."""
    store = InMemoryStore(**{name: getattr(backup, name) for name in InMemoryStore.__dataclass_fields__})
    store.now = now
    state = store.context()
    issues = [each for each in topics if isinstance(each.data, IssueEvent)]
    others = [each for each in topics if not isinstance(each.data, IssueEvent)]
    freed = [each.data for each in issues if isinstance(each.data, IssueCancelled)]
    for payload in freed:
        store.apply(payload)
    if issues:
        after, facts = restore_order(state, moved_order(state, others, RULES), issues, now, RULES)
        store.order = after.order
        store._save(facts)
    for each in others:
        store.take_events([each])
    for each in issues:
        store.apply(each.data)
    return store


def live_units(store: InMemoryStore, issue_id: UUID) -> Counter[str]:
    return Counter(unit.line_id for unit, holder in store.held.items() if holder == issue_id)


@settings(deadline=None, max_examples=examples(300))
@given(beginnings, histories, st.integers(0, 30))
def test_after_a_restore_each_accepted_report_holds_its_units(
    start: list[str], history: list[object], backed_up_after: int
) -> None:
    store, backup = RecordingStore(), RecordingStore()
    steps = iter(range(len(history)))

    def back_up(_: InMemoryStore) -> None:
        nonlocal backup
        if next(steps) == backed_up_after:
            backup = deepcopy(store)

    run_history(store, start, history, back_up)
    again = restored(backup, store.topics[len(backup.topics) :], store.now)
    pending = {each.report.issue_id for each in store.order.awaiting_details} if store.order else set()
    for issue_id, filed in store.filed.items():
        accepted = store.events_of(issue_id, IssueAccepted)
        if filed.refusal_code is None and issue_id not in pending and accepted:
            assert again.filed[issue_id].refusal_code is None
            assert live_units(again, issue_id) == live_units(store, issue_id)


def reported_over_http(key: str, quantity: int = 1, reason: Reason = Reason.DEFECTIVE) -> list[AnyEvent]:
    """Return what intake published about a report over HTTP of an order whose events it also has."""
    _, facts = after(
        [placed(), shipped(), delivered(quantity=1), by_http(submission(quantity, reason=reason), key=key)]
    )
    return [event(fact) for fact in facts if isinstance(fact, IssueEvent)]


async def restore(conn: Connection, issues: Sequence[AnyEvent], orders: Sequence[AnyEvent] = ()) -> tuple[int, int]:
    async with conn.transaction():
        result = await restore_reports(conn, RULES, issues, orders, NOON)
    return result.reports, len(result.lost)


async def test_a_unit_that_was_reported_after_the_backup_cannot_be_reported_again(conn: Connection) -> None:
    await take(conn, placed(), shipped(), delivered(quantity=1))
    assert await restore(conn, reported_over_http("a")) == (1, 0)
    (facts,) = await take(conn, by_http(submission(1)))
    refusal = next(fact.refusal for fact in facts if isinstance(fact, CommandRefused))
    assert (refusal.code, refusal.issue_id) == ("already_reported", http_id("a"))


async def test_a_report_is_restored_before_its_order_is_read_again(conn: Connection) -> None:
    events = [placed(), shipped(), delivered(quantity=1)]
    assert await restore(conn, reported_over_http("a"), events) == (1, 0)
    await take(conn, *events)
    assert await held(conn) == {("1", 1)}


async def test_a_lost_unit_does_not_take_the_place_of_one_that_arrived(conn: Connection) -> None:
    events = [placed(), shipped(), delivered(quantity=1)]
    await restore(conn, reported_over_http("a", reason=Reason.LOST_IN_TRANSIT), events)
    assert await held(conn) == {("1", 2)}


async def test_restoring_twice_changes_nothing(conn: Connection) -> None:
    issues = reported_over_http("a")
    assert await restore(conn, issues) == (1, 0)
    assert await restore(conn, issues) == (0, 0)
    assert await conn.fetchval("SELECT count(*) FROM entitlements") == 1


async def test_a_report_without_an_outcome_is_decided_once_its_order_was_read(conn: Connection) -> None:
    issues = [each for each in reported_over_http("a") if isinstance(each.data, IssueReported)]
    await restore(conn, issues)
    outcomes = await take(conn, placed(), shipped(), delivered(quantity=1))
    accepted = [fact.issue_id for facts in outcomes for fact in facts if isinstance(fact, IssueAccepted)]
    assert accepted == [http_id("a")]


async def test_a_rejected_report_without_lines_is_named(conn: Connection) -> None:
    ids = {"issue_id": http_id("a"), "order_id": ORDER, "customer_id": CUSTOMER}
    rejected = event(IssueRejected(**ids, code="window_closed", message="too late", rejected_at=NOON))
    assert await restore(conn, [rejected]) == (0, 1)


async def test_units_freed_after_the_backup_go_to_the_report_that_took_them(conn: Connection) -> None:
    await take(conn, placed(), shipped(), delivered(quantity=1), by_http(submission(1), key="first"))
    ids = {"issue_id": http_id("first"), "order_id": ORDER, "customer_id": CUSTOMER}
    freed = event(IssueCancelled(**ids, cause="customer", cancelled_at=NOON))
    await restore(conn, [freed, *reported_over_http("second")])
    assert await conn.fetchval("SELECT issue_id FROM entitlements") == http_id("second")


async def test_a_report_from_kafka_that_is_read_again_is_a_duplicate(conn: Connection) -> None:
    report = by_kafka(submission(1, issue_id=http_id("a")))
    await restore(conn, reported_over_http("a"), [placed()])
    outcomes = await take(conn, placed(), shipped(), delivered(quantity=1), report)
    assert outcomes[-1] == [Ignored("duplicate_report")]
