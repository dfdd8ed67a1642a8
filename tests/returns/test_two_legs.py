"""Model check of the outbound and inbound legs: every order of these events to a depth, and every state reached.

Exhaustive where Hypothesis samples: a replacement of two units in one parcel or two, a courier who books, misses, or
collects one unit or both, and a warehouse that counts and inspects, each event once or repeated, with timers between.
Equal states are checked once.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from libs.common.decisions.facts import Anomaly, Ignored
from libs.common.decisions.ids import derived_id
from libs.common.events.carrier import (
    CollectionAttemptFailed,
    CollectionBooked,
    CollectionCollected,
    CollectionRequested,
    ParcelDelivered,
)
from libs.common.events.envelope import Payload
from libs.common.events.issues import IssueResolved
from libs.common.events.payment import RefundCompleted, RefundRequested
from libs.common.events.values import Condition, InspectedLine, LineQuantity, Reason, ReceivedLine, TimeWindow
from libs.common.events.warehouse import (
    ItemInspected,
    ItemReceived,
    ReplacementRejected,
    ReplacementShipped,
)
from services.returns.domain.commands import CancelCase
from services.returns.domain.state.line_quantities import common_counts, missing
from services.returns.domain.state.outbound_leg import OutboundStatus
from services.returns.policy.movements import RefundOn, ShipOn
from services.returns.store.documents import CASE_DOCUMENT
from tests.returns.cases import CALENDAR, ISSUE, TUESDAY, CaseScenario, line, open_scenario

DEPTH = 5
"""Length of the event sequences; about 5,000 states and 70,000 steps for each reason."""

ONE = (LineQuantity(line_id="1", quantity=1),)
TODAY = CALENDAR.day(TUESDAY)
OUT = {"issue_id": ISSUE, "replacement_id": derived_id("replacement", ISSUE, 1)}
BACK = {"issue_id": ISSUE, "collection_id": derived_id("collection", ISSUE, 1)}
Move = Callable[[CaseScenario], Payload]


def counted(name: str, quantity: int) -> Move:
    lines = (ReceivedLine(line_id="1", quantity=quantity),)
    return lambda scenario: ItemReceived(issue_id=ISSUE, lines=lines, received_at=TUESDAY, receipt_id=name)


def looked_at(condition: Condition) -> Move:
    lines = (InspectedLine(line_id="1", quantity=2, condition=condition),)
    return lambda scenario: ItemInspected(issue_id=ISSUE, lines=lines, inspected_at=TUESDAY, inspection_id="i")


def paid(scenario: CaseScenario) -> Payload:
    refund = scenario.known.money.refunds[-1]
    money = scenario.known.value.model_copy(update={"amount": refund.amount})
    return RefundCompleted(issue_id=ISSUE, refund_id=refund.refund_id, amount=money, completed_at=TUESDAY)


MOVES: dict[str, Move] = {
    "all shipped": lambda scenario: ReplacementShipped(**OUT, shipped_at=TUESDAY, expected_delivery_date=TODAY),
    "one shipped": lambda scenario: ReplacementShipped(**OUT, shipped_at=TUESDAY, lines=ONE, shipment_id="p1"),
    "one short": lambda scenario: ReplacementRejected(**OUT, lines=ONE),
    "delivered": lambda scenario: ParcelDelivered(**OUT, delivered_at=TUESDAY),
    "booked": lambda scenario: CollectionBooked(**BACK, window=TimeWindow(day=TODAY)),
    "missed": lambda scenario: CollectionAttemptFailed(**BACK, cause="nobody_home", attempted_at=TUESDAY),
    "collected": lambda scenario: CollectionCollected(**BACK, collected_at=TUESDAY),
    "one collected": lambda scenario: CollectionCollected(**BACK, collected_at=TUESDAY, lines=ONE),
    "one counted": counted("a", 1),
    "other counted": counted("b", 1),
    "three counted": counted("c", 3),
    "good": looked_at(Condition.SELLABLE),
    "not theirs": looked_at(Condition.OTHER_ITEM),
    "cancelled": lambda scenario: CancelCase(issue_id=ISSUE, cause="called"),
}


def possible(scenario: CaseScenario) -> Iterator[str]:
    yield from MOVES
    if scenario.known.money.refunds:
        yield "paid"
    if scenario.timers:
        yield "timer"


def step(scenario: CaseScenario, name: str) -> CaseScenario:
    after = replace(scenario, facts=[], timers=dict(scenario.timers))
    if name == "timer":
        after.next_timer()
    else:
        after.apply(paid(after) if name == "paid" else MOVES[name](after))
    return after


def check(begin: CaseScenario, depth: int) -> int:
    """Check every reachable step, and return the number of states."""
    seen = set()
    for way, before, after in explore(begin, depth):
        hold(way, before, after)
        seen.add(_name(after))
    return len(seen)


def explore(begin: CaseScenario, depth: int) -> Iterator[tuple[tuple[str, ...], CaseScenario, CaseScenario]]:
    """Yield every reachable step: its path, and the states before and after."""
    reached = {_name(begin)}
    edge: list[tuple[tuple[str, ...], CaseScenario]] = [((), begin)]
    for _ in range(depth):
        further = []
        for way, before in edge:
            for name in possible(before):
                after = step(before, name)
                yield (*way, name), before, after
                if (state := _name(after)) not in reached:
                    reached.add(state)
                    further.append(((*way, name), after))
        edge = further


def _name(scenario: CaseScenario) -> bytes:
    return CASE_DOCUMENT.dump_json(scenario.known, exclude_defaults=True) + scenario.now.isoformat().encode()


def hold(way: tuple[str, ...], before: CaseScenario, after: CaseScenario) -> None:
    """Assert the invariants, by their numbers, over one step."""
    case, facts = after.known, after.facts
    if any(isinstance(fact, CollectionRequested) for fact in facts) and case.plan.ship_on is ShipOn.ACCEPTED:
        assert case.outbound.status in (OutboundStatus.SHIPPED, OutboundStatus.DELIVERED), (1, way)
        assert case.shortage is None, (1, way)
    assert not missing(case.money.requested_units, case.reported_units), (2, way)
    assert not missing(case.outbound.shipped, case.outbound.ordered), (2, way)
    assert not missing(case.outbound.delivered, case.outbound.shipped), (2, way)
    assert after.timers == dict(case.timers()), (6, way)
    assert case.is_closed or after.timers, (6, way)
    assert not any(isinstance(fact, Anomaly) and fact.reason == "stalled" for fact in facts), (6, way)
    if case.plan.refund_on is RefundOn.RECEIVED and any(isinstance(fact, RefundRequested) for fact in facts):
        assert not missing(case.money.requested_units, common_counts(case.inbound.received, case.reported_units)), (
            7,
            way,
        )
    if before.known.cancelled_at:
        assert not any(isinstance(fact, IssueResolved | CollectionRequested) for fact in facts), ("one leg", way)
    if any(isinstance(fact, Ignored) for fact in facts):
        assert case == before.known, ("ignored", way)


@pytest.mark.parametrize("reason", [Reason.DEFECTIVE, Reason.CHANGED_MIND])
def test_the_invariants_hold_on_every_way_of_this_depth(reason: Reason) -> None:
    states = check(open_scenario(reason, line("1", 2)), DEPTH)
    assert states > 200, f"only {states} states: the moves no longer lead anywhere"


def test_the_model_check_finds_a_courier_who_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the guard, the check finds a path of one step."""
    from services.returns.domain.handlers import next_steps

    monkeypatch.setattr(next_steps, "_collection_date", lambda decision: decision.today)
    with pytest.raises(AssertionError):
        check(open_scenario(Reason.DEFECTIVE, line("1", 2)), 2)
