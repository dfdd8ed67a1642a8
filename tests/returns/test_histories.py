"""Random histories of one case: invariants that hold for events in any order, repeated or late."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, TypeAlias
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.decisions.facts import Anomaly, Ignored, TimerFired
from libs.common.decisions.ids import derived_id
from libs.common.events.carrier import (
    CollectionAttemptFailed,
    CollectionBooked,
    CollectionCollected,
    CollectionRequested,
    ParcelDelivered,
    ParcelException,
    ParcelFound,
    ParcelScanned,
)
from libs.common.events.envelope import Payload
from libs.common.events.issues import (
    IssueCancelled,
    IssueCollectionWindowChosen,
    IssueItemReceived,
    IssueRefunded,
    IssueReopened,
    IssueReplacementDelayed,
    IssueReplacementDelivered,
    IssueReplacementOrdered,
    IssueReplacementPromised,
    IssueReplacementShipped,
    IssueResolved,
    IssueStaffDecided,
    IssueStaffDecisionApplied,
)
from libs.common.events.notices import CustomerDecided
from libs.common.events.payment import RefundCompleted, RefundFailed, RefundReversed
from libs.common.events.values import (
    Choice,
    Condition,
    CountedLine,
    InspectedLine,
    LineQuantity,
    Money,
    RawStatus,
    Reason,
    ReceivedLine,
    Remedy,
    StaffAction,
    TimeWindow,
    Variant,
)
from libs.common.events.warehouse import (
    ItemInspected,
    ItemReceived,
    ReplacementConfirmed,
    ReplacementDelayed,
    ReplacementRecalled,
    ReplacementRejected,
    ReplacementShipped,
)
from services.returns.domain.commands import CancelCase, ReopenCase
from services.returns.domain.context import CaseState
from services.returns.domain.decide import PUBLISHES, decide
from services.returns.domain.state.inbound_leg import InboundStatus
from services.returns.domain.state.kept_counts import CountKept
from services.returns.domain.state.line_quantities import common_counts, missing
from services.returns.domain.state.order_ledger import PaidBack
from services.returns.domain.state.outbound_leg import OutboundStatus
from services.returns.domain.state.review_causes import ReviewCause
from services.returns.policy.carrier_statuses import status_table
from services.returns.policy.movements import RefundOn, ShipOn
from services.returns.store.documents import CASE_DOCUMENT
from tests.examples import examples
from tests.returns.cases import CALENDAR, HOME, ISSUE, CaseScenario, accepted, event_of, line, review_decision

ABOUT = {"issue_id": ISSUE, "order_id": "O-1", "customer_id": "C-1"}
RED = Variant(sku="POT-RED", name="Teapot, red")
WORDS = [(source, code) for source, words in status_table().items() for code in words if "/" not in code] + [
    ("yamato", "?")
]
Happening: TypeAlias = Callable[[CaseScenario], Payload]

numbers = st.integers(1, 3)
days = st.integers(-2, 6)
line_ids = st.sampled_from(["1"] * 6 + ["2"] * 5 + ["9"])
lines = st.lists(st.builds(LineQuantity, line_id=line_ids, quantity=st.integers(1, 2)), min_size=1, max_size=2)


def _day(scenario: CaseScenario, days: int) -> date:
    return CALENDAR.day(scenario.now) + timedelta(days=days)


def _named(kind: str, number: int) -> UUID:
    return derived_id(kind, ISSUE, number)


def warehouse_says(word: str, number: int, day: int, known: bool) -> Happening:
    def happening(scenario: CaseScenario) -> Payload:
        ids = {"issue_id": ISSUE, "replacement_id": _named("replacement", number)}
        match word:
            case "confirmed":
                return ReplacementConfirmed(**ids, ship_date=_day(scenario, day))
            case "delayed":
                return ReplacementDelayed(**ids, ship_date=_day(scenario, day))
            case "rejected":
                return ReplacementRejected(**ids, restock_date=_day(scenario, day * 5) if known else None)
            case "shipped":
                expected = _day(scenario, day) if known else None
                return ReplacementShipped(**ids, shipped_at=scenario.now, expected_delivery_date=expected)
            case "delivered":
                return ParcelDelivered(**ids, delivered_at=scenario.now)
            case _:
                expected = _day(scenario, day) if known else None
                return ParcelException(**ids, code="late", expected_delivery_date=expected, occurred_at=scenario.now)

    return happening


def courier_says(word: str, number: int, day: int) -> Happening:
    def happening(scenario: CaseScenario) -> Payload:
        ids = {"issue_id": ISSUE, "collection_id": _named("collection", number)}
        match word:
            case "booked":
                return CollectionBooked(**ids, window=TimeWindow(day=_day(scenario, day)))
            case "failed":
                return CollectionAttemptFailed(
                    **ids, cause="nobody_home", attempted_at=scenario.now + timedelta(days=day)
                )
            case _:
                return CollectionCollected(**ids, collected_at=scenario.now)

    return happening


def bank_says(done: bool, number: int, amount: int, retriable: bool) -> Happening:
    def happening(scenario: CaseScenario) -> Payload:
        ids = {"issue_id": ISSUE, "refund_id": _named("refund", number)}
        if done:
            money = Money(amount=Decimal(amount), currency="JPY")
            return RefundCompleted(**ids, amount=money, completed_at=scenario.now)
        return RefundFailed(**ids, cause="bank", retriable=retriable, failed_at=scenario.now)

    return happening


def bank_pays(number: int, coins: int, transaction: int) -> Happening:
    """Return a payment of a part of a refund, or a second payment of it."""

    def happening(scenario: CaseScenario) -> Payload:
        ids = {"issue_id": ISSUE, "refund_id": _named("refund", number), "transaction_id": f"tx-{transaction}"}
        return RefundCompleted(**ids, amount=Money(amount=Decimal(coins), currency="JPY"), completed_at=scenario.now)

    return happening


def bank_returns(number: int, coins: int, transaction: int) -> Happening:
    def happening(scenario: CaseScenario) -> Payload:
        ids = {"issue_id": ISSUE, "refund_id": _named("refund", number), "transaction_id": f"rev-{transaction}"}
        amount = Money(amount=Decimal(coins), currency="JPY")
        return RefundReversed(**ids, amount=amount, cause="account_closed", reversed_at=scenario.now)

    return happening


def shop_does(change: str, number: int, coins: int) -> Happening:
    """Return the timer by which something that the shop or the bank did with the order reaches the case."""

    def happening(scenario: CaseScenario) -> Payload:
        order = scenario.order or scenario.order_of_report
        assert order
        match change:
            case "cancelled":
                order = replace(order, cancelled_lines=order.cancelled_lines | {str(number)})
            case "refunded":
                back = PaidBack(Decimal(coins), units={"1": 1}, line_amounts={"1": Decimal(coins)})
                order = replace(order, shop_refunds={**order.shop_refunds, f"R-{number}": back})
            case "goodwill":
                order = replace(order, shop_refunds={**order.shop_refunds, f"R-{number}": PaidBack(Decimal(coins))})
            case "charged_back":
                order = replace(order, chargebacks={**order.chargebacks, f"cb-{number}": Decimal(coins)})
            case _:
                order = replace(order, won_chargebacks=order.won_chargebacks | {f"cb-{number}"})
        scenario.order = order
        return TimerFired(name=f"order:{number}", due_at=scenario.now)

    return happening


def warehouse_recalls(number: int) -> Happening:
    return lambda scenario: ReplacementRecalled(
        issue_id=ISSUE, replacement_id=_named("replacement", number), recalled_at=scenario.now
    )


def box_arrives(mark: str, number: int, line_id: str | None) -> Happening:
    """Return a box with some of the papers that a warehouse may find in it."""

    def happening(scenario: CaseScenario) -> Payload:
        papers: dict[str, Any] = {"replacement_id": _named("replacement", number)} if mark == "replacement" else {}
        counted = CountedLine(line_id=line_id, quantity=1, sku="SKU-1" if mark == "sku" else None)
        return ItemReceived(issue_id=ISSUE, lines=(counted,), received_at=scenario.now, **papers)

    return happening


def received(counted: Sequence[LineQuantity]) -> Happening:
    return lambda scenario: ItemReceived(issue_id=ISSUE, lines=tuple(counted), received_at=scenario.now)


def inspected(counted: Sequence[LineQuantity], condition: Condition) -> Happening:
    def happening(scenario: CaseScenario) -> Payload:
        found = tuple(InspectedLine(**one.model_dump(), condition=condition) for one in counted)
        return ItemInspected(issue_id=ISSUE, lines=found, inspected_at=scenario.now)

    return happening


def customer_says(number: int, choice: Choice) -> Happening:
    def happening(scenario: CaseScenario) -> Payload:
        return CustomerDecided(
            order_id="O-1",
            customer_id="C-1",
            issue_id=ISSUE,
            choice_id=_named("choice", number),
            choice=choice,
            requested_sku=RED.sku if choice is Choice.CHANGE else None,
            decided_at=scenario.now,
        )

    return happening


def review_decided(cause: ReviewCause | None, approved: bool) -> Happening:
    """Decide a review; `None` means any open one."""

    def happening(scenario: CaseScenario) -> Payload:
        is_open = scenario.known.reviews[0].cause if scenario.known.reviews else ReviewCause.VALUE
        return review_decision(cause or is_open, approved, scenario.now)

    return happening


def part_says(word: str, number: int, pieces: int, parcel: str) -> Happening:
    """Partial events: some units shipped separately, short, or delivered."""

    def happening(scenario: CaseScenario) -> Payload:
        ids = {"issue_id": ISSUE, "replacement_id": _named("replacement", number)}
        some = (LineQuantity(line_id="1", quantity=pieces),)
        match word:
            case "shipped":
                return ReplacementShipped(**ids, shipped_at=scenario.now, lines=some, shipment_id=parcel)
            case "short":
                return ReplacementRejected(**ids, lines=some, variants=(RED,), restock_date=_day(scenario, 5))
            case _:
                return ParcelDelivered(**ids, delivered_at=scenario.now, shipment_id=parcel)

    return happening


def carrier_scans(source_code: tuple[str, str], number: int, back: bool, hours_ago: int) -> Happening:
    def happening(scenario: CaseScenario) -> Payload:
        kind, name = ("collection", "collection_id") if back else ("replacement", "replacement_id")
        raw = RawStatus(source=source_code[0], code=source_code[1])
        at = scenario.now - timedelta(hours=hours_ago)
        return ParcelScanned(issue_id=ISSUE, **{name: _named(kind, number)}, raw=raw, scanned_at=at)

    return happening


def window_picked(days: int) -> Happening:
    def happening(scenario: CaseScenario) -> Payload:
        window = TimeWindow(day=_day(scenario, days), from_hour=18, to_hour=20)
        return IssueCollectionWindowChosen(**ABOUT, window=window, chosen_at=scenario.now)

    return happening


def staff_says(action: StaffAction, review: ReviewCause | None, remedy: Remedy | None) -> Happening:
    def happening(scenario: CaseScenario) -> Payload:
        about = {**ABOUT, "decision_id": _named("decision", 1), "staff": "ops-1", "comment": "because"}
        return IssueStaffDecided(**about, action=action, review=review, remedy=remedy, decided_at=scenario.now)

    return happening


def found(with_customer: bool) -> Happening:
    return lambda scenario: ParcelFound(issue_id=ISSUE, with_customer=with_customer, found_at=scenario.now)


def other_item(scenario: CaseScenario) -> Payload:
    line = ReceivedLine(line_id="1", quantity=1, sku="BRICK")
    return ItemReceived(issue_id=ISSUE, lines=(line,), received_at=scenario.now)


def as_it_should_go(number: int) -> Happening:
    """Return the most likely next partner event, so that histories reach late states."""

    def happening(scenario: CaseScenario) -> Payload:
        case = scenario.known
        likely: list[Happening] = []
        if case.outbound.status in (OutboundStatus.ORDERED, OutboundStatus.CONFIRMED):
            likely += [warehouse_says("shipped", case.outbound.number, 1, True)] * 2
            likely += [warehouse_says("confirmed", case.outbound.number, 1, True)]
            likely += [warehouse_says("rejected", case.outbound.number, 1, number == 1)]
            likely += [part_says("shipped", case.outbound.number, 1, f"p{number}")]
            likely += [part_says("short", case.outbound.number, 1, "")]
        if case.outbound.status is OutboundStatus.SHIPPED:
            likely += [warehouse_says("delivered", case.outbound.number, 1, True)]
            likely += [warehouse_says("late", case.outbound.number, 5, True)]
        if case.outbound.parcels:
            likely += [part_says("delivered", case.outbound.number, 1, case.outbound.parcels[-1].parcel_id or "p1")]
        if case.inbound.status in (InboundStatus.REQUESTED, InboundStatus.BOOKED):
            likely += [window_picked(number)]
            likely += [courier_says("booked", case.inbound.number, 3), courier_says("failed", case.inbound.number, 0)]
            likely += [courier_says("collected", case.inbound.number, 0)]
            likely += [courier_says("booked", case.inbound.number, -1)]
        if case.inbound.status in (InboundStatus.REQUESTED, InboundStatus.COLLECTED):
            likely += [received([LineQuantity(line_id="1", quantity=1)])]
        if case.inbound.status is InboundStatus.COLLECTED:
            likely += [lambda scenario: ItemReceived(issue_id=ISSUE, lines=scenario.lines, received_at=scenario.now)]
        if case.inbound.status is InboundStatus.RECEIVED and case.plan.inspect:
            likely += [inspected(scenario.lines, Condition.SCRAP)]
        if case.money.due_at:
            refund = case.money.refunds[-1]
            likely += [bank_says(True, len(case.money.refunds), int(refund.amount), True)]
        if case.past_replacements:
            likely += [warehouse_says("shipped", 1, 1, True), warehouse_says("delivered", 1, 1, True)]
        if case.inbound.status is InboundStatus.INSPECTED and number == 1:
            likely += [inspected(scenario.lines, Condition.OTHER_ITEM)]
        if case.choice_request:
            likely += [
                customer_says(
                    case.choice_request_count, case.choice_request.options[number % len(case.choice_request.options)]
                )
            ]
        if case.reviews:
            likely += [review_decided(None, number > 1)]
        if case.resolved_at and number == 1:
            likely += [lambda scenario: ReopenCase(issue_id=ISSUE, cause="again")]
        return likely[number % len(likely)](scenario) if likely else TimerFired(name="review", due_at=scenario.now)

    return happening


commands = st.sampled_from(
    [
        lambda scenario: CancelCase(issue_id=ISSUE, cause="called"),
        lambda scenario: ReopenCase(issue_id=ISSUE, cause="again"),
        lambda scenario: ReopenCase(issue_id=ISSUE, cause="again", remedy=Remedy.REFUND),
        lambda scenario: TimerFired(name="outbound", due_at=scenario.now),
    ]
)
words = ["confirmed", "confirmed", "delayed", "rejected", "shipped", "shipped", "delivered", "delivered", "late"]
happenings: st.SearchStrategy[Happening] = st.one_of(
    st.builds(warehouse_says, st.sampled_from(words), numbers, days, st.booleans()),
    st.builds(warehouse_says, st.sampled_from(words), st.just(1), days, st.booleans()),
    st.builds(courier_says, st.sampled_from(["booked", "failed", "collected"]), numbers, days),
    st.builds(bank_says, st.booleans(), numbers, st.sampled_from([1200, 2400, 3400]), st.booleans()),
    st.builds(received, lines),
    st.just(lambda scenario: ItemReceived(issue_id=ISSUE, lines=scenario.lines, received_at=scenario.now)),
    st.builds(inspected, lines, st.sampled_from(Condition)),
    st.builds(customer_says, numbers, st.sampled_from(Choice)),
    st.builds(review_decided, st.none() | st.sampled_from(ReviewCause), st.booleans()),
    st.builds(part_says, st.sampled_from(["shipped", "short", "delivered"]), numbers, numbers, st.sampled_from("pq")),
    st.builds(carrier_scans, st.sampled_from(WORDS), numbers, st.booleans(), st.integers(-1, 9)),
    st.builds(window_picked, days),
    st.builds(
        staff_says,
        st.sampled_from(StaffAction),
        st.none() | st.sampled_from(ReviewCause),
        st.none() | st.sampled_from(Remedy),
    ),
    st.just(other_item),
    st.builds(found, st.booleans()),
    st.builds(bank_pays, numbers, st.sampled_from([100, 1200, 2400]), numbers),
    st.builds(bank_returns, numbers, st.sampled_from([100, 1200]), numbers),
    st.builds(
        shop_does, st.sampled_from(["cancelled", "refunded", "goodwill", "charged_back", "won"]), numbers, numbers
    ),
    st.builds(warehouse_recalls, numbers),
    st.builds(
        box_arrives, st.sampled_from(["replacement", "sku", ""]), numbers, st.sampled_from(["1", "2", "9", None])
    ),
    commands,
)
steps = st.one_of(
    happenings,
    st.builds(as_it_should_go, st.integers(1, 6)),
    st.builds(as_it_should_go, st.integers(1, 6)),
    st.builds(as_it_should_go, st.integers(1, 6)),
    st.builds(lambda hours: hours, st.integers(1, 120)),  # advance the clock
    st.just("timer"),
    st.just("address"),
    st.builds(lambda back: ("again", back), st.integers(1, 8)),  # repeat an earlier event
)
reports = st.builds(
    lambda reason, requested_remedy, quantity, price: accepted(
        reason, line("1", quantity, price), line("2", 1, "1000"), requested_remedy=requested_remedy
    ),
    st.sampled_from([*Reason, Reason.CHANGED_MIND, Reason.DEFECTIVE]),
    st.none() | st.sampled_from(Remedy),
    st.integers(1, 2),
    st.sampled_from(["1200", "1200", "1200", "1200", "0", "300000"]),
)


def tell(scenario: CaseScenario, history: Sequence[object], after_each: Callable[[CaseScenario], None]) -> None:
    """Apply a history, with a check after each step."""
    past: list[Payload] = []
    for step in history:
        match step:
            case int(hours):
                scenario.later(hours=hours)
            case "timer" if scenario.timers:
                scenario.next_timer()
            case "address":
                scenario.ship_to = HOME
            case ("again", int(back)) if past:
                scenario.apply(past[-min(back, len(past))])
            case step if callable(step):
                past.append(step(scenario))
                scenario.apply(past[-1])
        after_each(scenario)


def always(scenario: CaseScenario) -> None:
    ship_first(scenario)
    one_entitlement_per_unit(scenario)
    in_order(scenario)
    no_silence(scenario)
    money_follows_counted_units(scenario)
    refunded_within_paid(scenario)
    counted_goods(scenario)
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
