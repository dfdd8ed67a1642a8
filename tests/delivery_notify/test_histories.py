"""Invariants of conversations over random histories with reordered, repeated and delayed events."""

from datetime import date, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from libs.common.decisions.ids import derived_id
from libs.common.events import issues as ev
from libs.common.events.envelope import Payload
from libs.common.events.loyalty import PointsGranted
from libs.common.events.notices import CustomerDecided
from libs.common.events.storefront import (
    OrderCancelled,
    OrderChanged,
    OrderDelayed,
    OrderDelivered,
    OrderPromiseChanged,
    OrderShipped,
    PreorderProgressed,
    ShipmentChanged,
)
from libs.common.events.values import Choice, LineQuantity, ShippedLine
from services.delivery_notify.domain.conversation import Conversation
from services.delivery_notify.domain.customer_questions import CustomerAnswered
from services.delivery_notify.domain.decide import deadlines
from services.delivery_notify.domain.notices import NoticeCreated, PromiseMade
from services.delivery_notify.domain.supersede import SHIP_DATE_NOTICES
from tests.delivery_notify.conversation_driver import (
    CUSTOMER,
    ISSUE,
    MONDAY,
    ORDER,
    ConversationDriver,
    issue,
    line,
    of,
    placed,
)
from tests.examples import examples

DAYS = st.integers(-3, 60).map(lambda n: date(2027, 3, 1) + timedelta(days=n))
MOMENTS = st.integers(-48, 24 * 60).map(lambda hours: MONDAY + timedelta(hours=hours))
LINE_IDS = st.sampled_from(("1", "2"))
SOME_LINES = st.lists(LINE_IDS, max_size=2, unique=True).map(tuple)
COUNTS = st.lists(st.builds(LineQuantity, line_id=LINE_IDS, quantity=st.integers(1, 2)), min_size=1, max_size=2).map(
    tuple
)

SHIPMENTS = st.none() | st.sampled_from(("box-1", "box-2"))
BOXES = st.lists(st.builds(ShippedLine, line_id=LINE_IDS, quantity=st.integers(0, 2)), max_size=2).map(tuple)
SOMETIMES = st.none() | DAYS
ORDERS = (
    placed(line("1", preorder=True, quantity=2), line("2")),
    placed(line("1", promised_delivery_date=date(2027, 3, 9), quantity=2), line("2", None), market="US"),
    placed(line("1", promised_delivery_date=date(2027, 3, 9)), line("2"), market="DE"),
)

ISSUE_KINDS: tuple[type[ev.IssueEvent], ...] = (
    ev.IssueReported,
    ev.IssueAccepted,
    ev.IssueRejected,
    ev.IssueReviewRequested,
    ev.IssueDetailsRequested,
    ev.IssueReplacementOrdered,
    ev.IssueReplacementShipped,
    ev.IssueReplacementDelivered,
    ev.IssueCollectionRequested,
    ev.IssueCollectionBooked,
    ev.IssueCollected,
    ev.IssueItemReceived,
    ev.IssueRefundRequested,
    ev.IssueRefunded,
    ev.IssueResolved,
    ev.IssueReopened,
    ev.IssueCancelled,
)


def _issue(kind: type[ev.IssueEvent]) -> Payload:
    return issue(kind)


def _dated(kind: type[ev.IssueEvent], version: int, day: date) -> Payload:
    return issue(kind, ship_date=day, previous_ship_date=day, version=version)


def _asked(number: int, options: list[Choice]) -> Payload:
    choice_id = derived_id("choice", number)
    return issue(ev.IssueChoiceRequested, choice_id=choice_id, options=tuple(options), default=options[0])


def answer_to(driver: ConversationDriver, index: int, choice: Choice, wish: date | None) -> Payload | None:
    questions = driver.state.questions if driver.state else ()
    if not questions:
        return None
    choice_id = questions[index % len(questions)].choice_id
    return CustomerAnswered(order_id=ORDER, choice_id=choice_id, choice=choice, requested_date=wish)


CHOICES = st.sampled_from(list(Choice))
PAYLOADS = st.one_of(
    st.sampled_from(ORDERS),
    st.builds(
        OrderChanged,
        order_id=st.just(ORDER),
        customer_id=st.just(CUSTOMER),
        lines=st.builds(line, LINE_IDS, quantity=st.integers(0, 3)).map(lambda changed: (changed,)),
        market=st.none() | st.sampled_from(("JP", "US", "DE")),
        changed_at=MOMENTS,
    ),
    st.builds(
        OrderDelayed,
        order_id=st.just(ORDER),
        line_ids=SOME_LINES,
        cause=st.just("typhoon"),
        promised_ship_date=SOMETIMES,
        promised_delivery_date=SOMETIMES,
        next_update_by=SOMETIMES,
        delayed_at=MOMENTS,
    ),
    st.builds(
        ShipmentChanged,
        order_id=st.just(ORDER),
        shipment_id=st.sampled_from(("box-1", "box-2")),
        lines=st.none() | BOXES,
        called_off=st.booleans(),
        expected_delivery_date=SOMETIMES,
        changed_at=MOMENTS,
    ),
    st.builds(
        OrderPromiseChanged,
        order_id=st.just(ORDER),
        line_ids=SOME_LINES,
        promised_ship_date=DAYS,
        changed_at=MOMENTS,
    ),
    st.builds(
        OrderShipped,
        order_id=st.just(ORDER),
        lines=COUNTS.map(lambda counts: tuple(ShippedLine(**vars(count)) for count in counts)),
        shipment_id=SHIPMENTS,
        expected_delivery_date=SOMETIMES,
        shipped_at=MOMENTS,
    ),
    st.builds(OrderDelivered, order_id=st.just(ORDER), lines=COUNTS, delivered_at=MOMENTS),
    st.builds(OrderCancelled, order_id=st.just(ORDER), line_ids=SOME_LINES, cancelled_at=MOMENTS),
    st.builds(
        PreorderProgressed,
        order_id=st.just(ORDER),
        line_id=LINE_IDS,
        stage=st.sampled_from(("materials", "production")),
        promised_ship_date=st.none() | DAYS,
        progressed_at=MOMENTS,
    ),
    st.sampled_from(ISSUE_KINDS).map(_issue),
    st.builds(
        _dated,
        st.sampled_from((ev.IssueReplacementPromised, ev.IssueReplacementDelayed)),
        st.integers(1, 4),
        DAYS,
    ),
    st.builds(
        PointsGranted,
        customer_id=st.just(CUSTOMER),
        order_id=st.just(ORDER),
        issue_id=st.just(ISSUE),
        entry_id=st.integers(1, 3).map(lambda number: derived_id("entry", number)),
        points=st.just(500),
        cause=st.just("issue"),
        rule=st.just("ours"),
        granted_at=st.just(MONDAY),
        expires_on=st.just(date(2028, 3, 1)),
    ),
    st.builds(_asked, st.integers(1, 3), st.lists(CHOICES, min_size=1, unique=True)),
)
ANSWERS = st.tuples(st.integers(0, 5), CHOICES, st.none() | DAYS)
PAUSES = st.integers(0, 24 * 20).map(lambda hours: timedelta(hours=hours))
HISTORIES = st.lists(st.one_of(PAYLOADS, ANSWERS, PAUSES), max_size=25)


def _check_each_step(driver: ConversationDriver, facts: list[Any]) -> None:
    """Check that every open promise has its timer, and that no new notice covers a shipped or cancelled line."""
    state = driver.state
    if state is None:
        return
    assert driver.timers == deadlines(state)
    if any(each.open and each.shipping.day for each in state.lines):
        assert "overdue" in driver.timers
    new = {notice.notice_id for notice in of(facts, NoticeCreated)}
    for notice in state.notices:
        if notice.kind in SHIP_DATE_NOTICES and notice.notice_id in new:
            lines = [state.line(line_id) for line_id in notice.subjects]
            assert all(each and each.awaiting_shipment for each in lines)


def _live(history: list[Any]) -> ConversationDriver:
    driver = ConversationDriver()
    for step in history:
        match step:
            case timedelta():
                facts = driver.advance_to(driver.now + step)
            case (index, choice, wish):
                command = answer_to(driver, index, choice, wish)
                facts = driver.handle(command) if command else []
            case payload:
                facts = driver.handle(payload)
        if not isinstance(step, timedelta):
            _check_each_step(driver, facts)
    return driver


@settings(max_examples=examples(100), deadline=None)
@given(HISTORIES)
def test_a_fact_gives_at_most_one_notice(history: list[Any]) -> None:
    ids = [notice.notice_id for notice in _live(history).notices]
    assert len(ids) == len(set(ids))


@settings(max_examples=examples(100), deadline=None)
@given(HISTORIES)
def test_a_promise_never_gives_way_to_an_older_one(history: list[Any]) -> None:
    newest: dict[tuple[str, str], tuple[int, Any]] = {}
    for row in of(_live(history).facts, PromiseMade):
        version, promised_at = newest.get((row.subject, row.subject_id), (-1, row.promised_at))
        assert row.version > version
        assert row.promised_at >= promised_at
        newest[row.subject, row.subject_id] = (row.version, row.promised_at)


@settings(max_examples=examples(100), deadline=None)
@given(HISTORIES)
def test_a_question_is_decided_at_most_once(history: list[Any]) -> None:
    decided = [each.choice_id for each in of(_live(history).facts, CustomerDecided)]
    assert len(decided) == len(set(decided))


@settings(max_examples=examples(100), deadline=None)
@given(HISTORIES)
def test_a_notice_always_names_a_definite_day(history: list[Any]) -> None:
    for notice in _live(history).notices:
        assert notice.facts.day or notice.facts.next_update_by, notice.kind


@settings(max_examples=examples(100), deadline=None)
@given(HISTORIES)
def test_a_state_survives_being_stored(history: list[Any]) -> None:
    state, adapter = _live(history).state, TypeAdapter(Conversation | None)
    assert adapter.validate_json(adapter.dump_json(state)) == state
