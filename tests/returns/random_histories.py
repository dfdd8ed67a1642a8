"""Strategies of random histories of one case."""

from collections.abc import Callable, Sequence

from hypothesis import strategies as st

from libs.common.decisions.facts import TimerFired
from libs.common.events.envelope import Payload
from libs.common.events.values import Choice, Condition, LineQuantity, Reason, Remedy, StaffAction
from libs.common.events.warehouse import ItemReceived
from services.returns.domain.commands import CancelCase, ReopenCase
from services.returns.domain.state.inbound_leg import InboundStatus
from services.returns.domain.state.outbound_leg import OutboundStatus
from services.returns.domain.state.review_causes import ReviewCause
from tests.returns.cases import HOME, ISSUE, CaseScenario, accepted, line
from tests.returns.partner_events import (
    WORDS,
    Happening,
    bank_pays,
    bank_returns,
    bank_says,
    box_arrives,
    carrier_scans,
    courier_says,
    customer_says,
    days,
    found,
    inspected,
    lines,
    numbers,
    other_item,
    part_says,
    received,
    review_decided,
    shop_does,
    staff_says,
    warehouse_recalls,
    warehouse_says,
    window_picked,
    withdrawn,
)


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
            likely += [
                courier_says("collected", case.inbound.number, 0),
                courier_says("declined", case.inbound.number, 0),
            ]
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
    st.builds(courier_says, st.sampled_from(["booked", "declined", "failed", "collected"]), numbers, days),
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
        shop_does,
        st.sampled_from(["cancelled", "refunded", "goodwill", "charged_back", "won", "delivered", "edited"]),
        numbers,
        numbers,
    ),
    st.builds(warehouse_recalls, numbers),
    st.just(withdrawn),
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
    st.just("moved"),
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
            case "moved":
                scenario.move()
            case ("again", int(back)) if past:
                scenario.apply(past[-min(back, len(past))])
            case step if callable(step):
                past.append(step(scenario))
                scenario.apply(past[-1])
        after_each(scenario)
