"""Random histories of one case: invariants that hold for events in any order, repeated or late."""

from datetime import timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.decisions.facts import Anomaly, Ignored
from libs.common.events.carrier import CollectionRequested
from libs.common.events.envelope import Payload
from libs.common.events.issues import (
    IssueCancelled,
    IssueItemReceived,
    IssueRefunded,
    IssueReopened,
    IssueReplacementDelayed,
    IssueReplacementDelivered,
    IssueReplacementOrdered,
    IssueReplacementPromised,
    IssueReplacementShipped,
    IssueResolved,
    IssueStaffDecisionApplied,
)
from libs.common.events.values import StaffAction
from services.returns.domain.context import CaseState
from services.returns.domain.decide import PUBLISHES, decide
from services.returns.domain.state.inbound_leg import InboundStatus
from services.returns.domain.state.kept_counts import CountKept
from services.returns.domain.state.line_quantities import common_counts, missing
from services.returns.domain.state.outbound_leg import AWAITING_SHIPMENT, OutboundStatus
from services.returns.domain.state.review_causes import ReviewCause
from services.returns.policy.movements import RefundOn, ShipOn
from services.returns.store.documents import CASE_DOCUMENT
from tests.examples import examples
from tests.returns.cases import HOME, CaseScenario, event_of
from tests.returns.partner_events import Happening
from tests.returns.random_histories import happenings, reports, steps, tell


def always(scenario: CaseScenario) -> None:
    ship_first(scenario)
    one_entitlement_per_unit(scenario)
    in_order(scenario)
    no_silence(scenario)
    money_follows_counted_units(scenario)
    refunded_within_paid(scenario)
    counted_goods(scenario)
    corrections_count(scenario)
    only_known_facts(scenario)
    assert CASE_DOCUMENT.validate_json(CASE_DOCUMENT.dump_json(scenario.known, exclude_defaults=True)) == scenario.known


def under_this_plan_from(scenario: CaseScenario) -> int:
    """Return the index of the fact with which the present plan began: staff may change a refund to a replacement."""
    chosen = [
        n
        for n, fact in enumerate(scenario.facts)
        if isinstance(fact, IssueStaffDecisionApplied) and fact.applied and fact.action is StaffAction.CHOOSE_REMEDY
    ]
    return chosen[-1] if chosen else 0


def ship_first(scenario: CaseScenario) -> None:
    """Invariant 1: no courier before the replacement ships, nor on a day before it arrives."""
    case = scenario.known
    inbound, outbound = case.inbound, case.outbound
    if case.plan.ship_on is ShipOn.ACCEPTED and inbound.status in (InboundStatus.REQUESTED, InboundStatus.BOOKED):
        assert outbound.status in (OutboundStatus.SHIPPED, OutboundStatus.DELIVERED)
    if outbound.status is OutboundStatus.SHIPPED and inbound.status is InboundStatus.REQUESTED:
        assert inbound.earliest_date
        assert outbound.expected_delivery
        assert inbound.earliest_date >= outbound.expected_delivery
    if outbound.status is OutboundStatus.SHIPPED and inbound.status is InboundStatus.BOOKED:
        assert inbound.window_day
        assert outbound.expected_delivery
        assert inbound.window_day >= outbound.expected_delivery
    facts_of_plan = [type(fact) for fact in scenario.facts[under_this_plan_from(scenario) :]]
    collected = CollectionRequested in facts_of_plan and IssueReopened not in facts_of_plan
    if case.plan.ship_on is ShipOn.ACCEPTED and collected:
        assert facts_of_plan.index(IssueReplacementShipped) < facts_of_plan.index(CollectionRequested)


def one_entitlement_per_unit(scenario: CaseScenario) -> None:
    """Invariant 2: a unit is refunded at most once, and not beside an open replacement."""
    case = scenario.known
    assert all(count <= case.reported_units[line_id] for line_id, count in case.money.requested_units.items())
    if case.money.refunds and not case.money.refund_instead:
        assert case.outbound.status in (OutboundStatus.NONE, OutboundStatus.CANCELLED)
    for leg in (*case.past_replacements, case.outbound):
        assert not missing(leg.shipped, leg.ordered)
        assert not missing(leg.delivered, leg.shipped)
    assert not missing(case.money.refund_instead, case.reported_units)


def in_order(scenario: CaseScenario) -> None:
    """Invariant 5: each replacement is ordered, promised in rising versions, shipped, delivered, each once."""
    for ordered in scenario.all(IssueReplacementOrdered):
        about = [fact for fact in scenario.facts if getattr(fact, "replacement_id", None) == ordered.replacement_id]
        versions = [
            fact.version for fact in about if isinstance(fact, IssueReplacementPromised | IssueReplacementDelayed)
        ]
        assert versions == list(range(1, len(versions) + 1))
        milestones = (IssueReplacementOrdered, IssueReplacementShipped, IssueReplacementDelivered)
        reached = [type(fact) for fact in about if isinstance(fact, milestones)]
        assert reached == list(milestones[: len(reached)])


def no_silence(scenario: CaseScenario) -> None:
    """Invariant 6: an open case has a timer, and the timers are those of the case."""
    assert scenario.timers == dict(scenario.known.timers())
    assert scenario.known.is_closed or scenario.timers
    assert not any(isinstance(fact, Anomaly) and fact.reason == "stalled" for fact in scenario.facts)


def money_follows_counted_units(scenario: CaseScenario) -> None:
    """Invariant 7: a refund on receipt never exceeds the units received and reported."""
    case = scenario.known
    if case.plan.refund_on is RefundOn.RECEIVED:
        counted = common_counts(case.inbound.received, case.reported_units)
        assert case.paid_back.amount <= case.value_of(counted)


def refunded_within_paid(scenario: CaseScenario) -> None:
    """Invariant 13: no refund exceeds what was paid less what had gone back by then; its parts add up to it."""
    case, order = scenario.known, scenario.order or scenario.order_of_report
    assert order
    assert case.paid_back.amount <= order.received
    for refund in case.money.refunds:
        assert sum(refund.line_amounts.values(), refund.shipping) == refund.amount
        assert refund.amount == refund.amount.to_integral_value()
    for paid in scenario.all(IssueRefunded):
        if paid.lines and not paid.remaining and not scenario.known.in_review(ReviewCause.REFUND_OVERPAID):
            assert sum((each.amount.amount for each in paid.lines), Decimal(0)) <= order.received


def counted_goods(scenario: CaseScenario) -> None:
    """Invariant 15: units that came back are in the case, handed on, or units of a replacement."""
    case = scenario.known
    for leg in case.replacements:
        assert all(count > 0 for count in leg.returned.values())
    announced = sum(each.quantity for fact in scenario.all(IssueItemReceived) for each in fact.lines)
    handed_on = sum(each.quantity for fact in scenario.all(CountKept) for each in fact.count.lines)
    in_case = sum(case.inbound.received.values()) + sum(case.inbound.other_items.values())
    returned = sum(sum(leg.returned.values()) for leg in case.replacements)
    assert handed_on >= 0
    assert announced >= in_case + returned


def corrections_count(scenario: CaseScenario) -> None:
    """Invariant 18: what is still to leave or to be collected has the address that the shop stated last."""
    case, version = scenario.known, scenario.customer.address_version
    if case.is_closed or scenario.ship_to is None:
        return
    if case.outbound.status in AWAITING_SHIPMENT:
        assert case.outbound.address_version == version
    if case.inbound.is_pending:
        assert case.inbound.address_version == version


def only_known_facts(scenario: CaseScenario) -> None:
    """Invariant 8: nothing is charged, because no such fact exists; every fact is among `PUBLISHES`."""
    assert all(type(fact) in PUBLISHES for fact in scenario.facts if isinstance(fact, Payload))


@settings(max_examples=examples(600), deadline=None)
@given(reports, st.sampled_from([True, True, True, False]), st.lists(steps, min_size=5, max_size=40))
def test_the_invariants_hold_in_every_history(report: Payload, with_address: bool, history: list[object]) -> None:
    scenario = CaseScenario(ship_to=HOME if with_address else None)
    scenario.apply(report)
    tell(scenario, history, always)


@settings(max_examples=examples(150), deadline=None)
@given(reports, st.lists(steps, max_size=25))
def test_when_nothing_happens_something_does(report: Payload, history: list[object]) -> None:
    scenario = CaseScenario()
    scenario.apply(report)
    tell(scenario, history, lambda _: None)
    before = len([fact for fact in scenario.facts if isinstance(fact, Payload)])
    for _ in range(20):
        if scenario.timers:
            fired = min(scenario.timers, key=lambda name: scenario.timers[name])
            scenario.next_timer()
            assert scenario.timers.get(fired, scenario.now + timedelta(1)) > scenario.now
    after = len([fact for fact in scenario.facts if isinstance(fact, Payload)])
    assert after > before or not scenario.timers


@settings(max_examples=examples(150), deadline=None)
@given(reports, st.lists(steps, max_size=25))
def test_a_case_ends_once_per_opening(report: Payload, history: list[object]) -> None:
    scenario = CaseScenario()
    scenario.apply(report)
    tell(scenario, history, lambda _: None)
    ends = [fact for fact in scenario.facts if isinstance(fact, IssueResolved | IssueCancelled | IssueReopened)]
    kinds = [isinstance(fact, IssueReopened) for fact in ends]
    assert kinds == [bool(place % 2) for place in range(len(kinds))]


@settings(max_examples=examples(150), deadline=None)
@given(reports, st.lists(steps, max_size=25), happenings)
def test_the_same_event_in_the_same_state_gives_the_same(
    report: Payload, history: list[object], happening: Happening
) -> None:
    scenario = CaseScenario()
    scenario.apply(report)
    tell(scenario, history, lambda _: None)
    event = event_of(happening(scenario), scenario.now)
    state = CaseState(scenario.case, scenario.customer)
    assert decide(state, event, scenario.now, scenario.rules) == decide(state, event, scenario.now, scenario.rules)


@settings(max_examples=examples(150), deadline=None)
@given(reports, st.lists(steps, max_size=25), happenings)
def test_what_is_ignored_leaves_the_case_as_it_was(
    report: Payload, history: list[object], happening: Happening
) -> None:
    scenario = CaseScenario()
    scenario.apply(report)
    tell(scenario, history, lambda _: None)
    before = scenario.known
    facts = scenario.apply(happening(scenario))
    if any(isinstance(fact, Ignored) for fact in facts):
        assert scenario.known == before
