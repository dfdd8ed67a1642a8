"""Restoration of reports from published events: written in one transaction, before the restored service starts.

Repeatable: a report, a decision or a unit that is there already is left out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from libs.common.decisions.facts import CancelTimer, Facts, Record, SetTimer
from libs.common.events.issues import IssueEvent, IssueRejected, IssueStaffDecided
from libs.common.events.registry import AnyEvent
from libs.common.messaging import outbox
from libs.common.postgres.pool import Connection
from services.intake.domain import decide as domain
from services.intake.domain.context import OrderState
from services.intake.domain.issue_acceptance import IssueRecorded
from services.intake.domain.projections import timeline
from services.intake.domain.restoration import HANDLERS, restore_order
from services.intake.policy.eligibility_rules import IntakeRules
from services.intake.store import entitlements
from services.intake.store.orders import Orders

_KNOWN_DECISIONS = "SELECT decision_id FROM staff_decisions WHERE decision_id = ANY($1)"


@dataclass(frozen=True, slots=True)
class RestoredReports:
    """Count of restored reports, and rejected ones that are not restored: their lines are in no event."""

    reports: int
    lost: tuple[str, ...]


async def restore_reports(
    conn: Connection, rules: IntakeRules, issues: Sequence[AnyEvent], orders: Sequence[AnyEvent], now: datetime
) -> RestoredReports:
    """Restore what became of reports; `orders` are the events of orders since the backup. Needs a transaction."""
    aggregate, recorded, known = Orders(rules), list[IssueRecorded](), set[UUID]()
    decided = await _known_decisions(conn, issues)
    by_order = _by_order(each for each in issues if not _is_decided(each, decided))
    for order_id, events in by_order.items():
        state = await aggregate.load_with_reports(conn, order_id, {each.data.issue_id for each in events})  # type: ignore[attr-defined]
        known |= state.order_by_issue.keys()
        moved = moved_order(state, [each for each in orders if domain.order_id_of(each) == order_id], rules)
        after, facts = restore_order(state, moved, events, now, rules)
        await _save(conn, aggregate, state, after, events, facts)
        recorded += [fact for fact in facts if isinstance(fact, IssueRecorded)]
    known |= {each.report.issue_id for each in recorded}
    rejected = {each.data.issue_id for each in issues if isinstance(each.data, IssueRejected)}
    return RestoredReports(len(recorded), tuple(sorted(map(str, rejected - known))))


def _by_order(events: Iterable[AnyEvent]) -> dict[str, list[AnyEvent]]:
    """Return the events that are restored, by order, in the order of their topic."""
    by_order: dict[str, list[AnyEvent]] = {}
    for event in events:
        if isinstance(event.data, IssueEvent) and type(event.data) in HANDLERS:
            by_order.setdefault(event.data.order_id, []).append(event)
    return by_order


async def _known_decisions(conn: Connection, events: Iterable[AnyEvent]) -> set[UUID]:
    ids = [each.data.decision_id for each in events if isinstance(each.data, IssueStaffDecided)]
    return {row["decision_id"] for row in await conn.fetch(_KNOWN_DECISIONS, ids)}


def _is_decided(event: AnyEvent, known: set[UUID]) -> bool:
    return isinstance(event.data, IssueStaffDecided) and event.data.decision_id in known


def moved_order(state: OrderState, events: Iterable[AnyEvent], rules: IntakeRules) -> OrderState:
    """Return the state after all events of the order, which the service applies itself once it starts."""
    moved: OrderState = replace(state, order=replace(state.order, awaiting_order=()))
    for event in events:
        after, _ = domain.decide(moved, event, event.time, rules)
        moved = after or moved
    return moved


async def _save(
    conn: Connection,
    aggregate: Orders,
    before: OrderState,
    after: OrderState,
    events: Iterable[AnyEvent],
    facts: Facts,
) -> None:
    """Write rows and timers. Units that were freed since the backup are freed before later reports take them."""
    changes = [change for each in events for change in timeline.project(each) if isinstance(change, Record)]
    await entitlements.apply_unit_changes(conn, changes, aggregate.rules.zone)
    if after is not before:
        await aggregate.save(conn, {after.order.order_id: after}, [fact for fact in facts if isinstance(fact, Record)])
    timers: Mapping[tuple[str, str], tuple[SetTimer | CancelTimer, None]] = {
        (after.order.order_id, fact.name): (fact, None) for fact in facts if isinstance(fact, SetTimer | CancelTimer)
    }
    await outbox.write_effects(conn, (), aggregate.name, timers)
