"""Random histories of one order: properties that hold in whatever order its events arrive."""

from collections.abc import Sequence
from datetime import datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.decisions.facts import CancelTimer, Fact, SetTimer
from libs.common.events.issues import IssueAccepted, IssueRejected
from libs.common.events.registry import AnyEvent
from libs.common.events.storefront import IssueSubmitted, OrderChanged
from libs.common.events.values import OrderLine, Reason, ReportedLine
from services.intake.domain.context import OrderState
from services.intake.domain.decide import decide
from services.intake.domain.issue_acceptance import IssueRecorded
from services.intake.domain.units import Unit
from tests.examples import examples
from tests.intake.event_builders import (
    CUSTOMER,
    NOON,
    ORDER,
    RULES,
    after,
    by_http,
    by_kafka,
    cancelled,
    days,
    delivered,
    event,
    http_id,
    line,
    placed,
    shipped,
    submission,
    timer_of,
)

line_ids = st.sampled_from(["1", "1", "2", "9"])
quantities = st.integers(1, 3)
moments = st.integers(0, 800).map(lambda number: NOON + days(number))
keys = st.integers(1, 6).map(lambda number: http_id(str(number)))
reports = st.builds(
    submission,
    reason=st.sampled_from(Reason),
    customer_id=st.sampled_from(["C-77", "C-77", "C-77", "C-other"]),
    lines=st.lists(st.builds(ReportedLine, line_id=line_ids, quantity=quantities), min_size=1, max_size=3).map(tuple),
    issue_id=keys,
)


def changed(lines: list[OrderLine], at: datetime) -> AnyEvent:
    return event(OrderChanged(order_id=ORDER, customer_id=CUSTOMER, changed_at=at, lines=tuple(lines)), at=at)


events = st.one_of(
    st.builds(placed, at=moments),
    st.builds(shipped, line_ids, quantities, at=moments),
    st.builds(delivered, line_ids, quantities, at=moments),
    st.builds(changed, st.lists(st.builds(line, line_ids, st.integers(0, 4)), min_size=1, max_size=2), moments),
    st.lists(line_ids, max_size=2).flatmap(lambda ids: st.builds(lambda at: cancelled(*ids, at=at), moments)),
    st.builds(by_kafka, reports, at=moments),
    st.builds(by_http, reports, at=moments),
    st.builds(lambda issue_id, at: timer_of(f"awaiting_order:{issue_id}", at=at), keys, moments),
)
beginnings = st.sampled_from([[], [placed(), shipped(), delivered()], [placed(), delivered(quantity=1)]])
histories = st.builds(list.__add__, beginnings, st.lists(events, max_size=25))


def decisions(facts: Sequence[Fact]) -> list[IssueAccepted | IssueRejected]:
    return [fact for fact in facts if isinstance(fact, IssueAccepted | IssueRejected)]


def replay(history: Sequence[AnyEvent]) -> tuple[OrderState | None, list[Fact]]:
    context: OrderState | None = None
    facts: list[Fact] = []
    for incoming in history:
        context, new = decide(context, incoming, incoming.time, RULES)
        facts.extend(new)
    return context, facts


@given(histories)
def test_nobody_holds_a_piece_that_was_not_sent(history: list[AnyEvent]) -> None:
    context, _ = replay(history)
    held = context.entitlements if context else {}
    assert all(unit.number <= context.order.movements_of(unit.line_id).shipped_quantity for unit in held if context)


@given(histories)
def test_reports_of_what_arrived_hold_only_what_arrived(history: list[AnyEvent]) -> None:
    context, facts = replay(history)
    lost = {Reason.LOST_IN_TRANSIT, Reason.MISSING_ITEM}
    units = [
        u for f in facts if isinstance(f, IssueRecorded) and f.report.submission.reason not in lost for u in f.units
    ]
    assert all(unit.number <= context.order.movements_of(unit.line_id).delivered_quantity for unit in units if context)


@given(histories)
def test_no_piece_is_given_to_two_reports(history: list[AnyEvent]) -> None:
    _, facts = replay(history)
    units = [unit for fact in facts if isinstance(fact, IssueRecorded) for unit in fact.units]
    assert len(units) == len(set(units))


@given(histories)
def test_an_accepted_report_holds_as_many_pieces_as_it_names(history: list[AnyEvent]) -> None:
    _, facts = replay(history)
    filed = [fact for fact in facts if isinstance(fact, IssueRecorded) and fact.refusal is None]
    assert all(len(f.units) == sum(line.quantity for line in f.report.submission.lines) for f in filed)


@given(histories)
def test_an_issue_is_decided_once(history: list[AnyEvent]) -> None:
    _, facts = replay(history)
    ids = [fact.issue_id for fact in decisions(facts)]
    assert len(ids) == len(set(ids))


@given(histories)
def test_the_same_history_gives_the_same_outcome(history: list[AnyEvent]) -> None:
    assert replay(history) == replay(history)


@given(histories, st.data())
def test_a_report_that_comes_twice_changes_nothing_more(history: list[AnyEvent], data: st.DataObject) -> None:
    by_topic = [event for event in history if isinstance(event.data, IssueSubmitted)]
    again = data.draw(st.sampled_from(by_topic)) if by_topic else by_kafka(submission())
    _, once = replay([*history, again])
    _, twice = replay([*history, again, again])
    assert decisions(once) == decisions(twice)


@given(histories)
def test_every_waiting_report_has_a_timer(history: list[AnyEvent]) -> None:
    context, facts = replay(history)
    timers: set[str] = set()
    for fact in facts:
        timers = timers | {fact.name} if isinstance(fact, SetTimer) else timers
        timers = timers - {fact.name} if isinstance(fact, CancelTimer) else timers
    waiting = {f"awaiting_order:{report.issue_id}" for report in context.order.awaiting_order} if context else set()
    assert waiting <= timers


@given(histories)
def test_once_its_timers_fired_no_report_waits(history: list[AnyEvent]) -> None:
    context, _ = replay(history)
    waiting = context.order.awaiting_order if context else ()
    ends = [timer_of(f"awaiting_order:{report.issue_id}", at=NOON + days(900)) for report in waiting]
    settled, _ = after([placed(), *ends], context=context)
    assert settled.order.awaiting_order == ()


@settings(max_examples=examples(50))
@given(st.permutations(["placed", "shipped", "first", "second", "cancelled"]))
def test_what_is_known_of_an_order_does_not_hang_on_the_order_of_news(order: list[str]) -> None:
    news = {
        "placed": placed(),
        "shipped": shipped(),
        "first": delivered(quantity=1),
        "second": delivered(quantity=1, at=NOON + days(1)),
        "cancelled": cancelled("2"),
    }
    context, _ = after([news[name] for name in order])
    _, facts = after([by_http(submission(2), key="k")], context=context)
    assert [unit for fact in facts if isinstance(fact, IssueRecorded) for unit in fact.units] == [
        Unit("1", 1),
        Unit("1", 2),
    ]


@given(histories)
def test_events_of_no_concern_change_nothing(history: list[AnyEvent]) -> None:
    context, facts = replay(history)
    assert all(decide(context, event(fact), NOON, RULES)[0] is context for fact in decisions(facts))
