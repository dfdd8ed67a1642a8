"""Property of requests: each leads to an outcome that the customer hears in time, whatever the shop does."""

from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.events.change_requests import ChangeAnswer, OrderChangeAnswered
from libs.common.events.notices import CustomerDecided, NoticeKind
from libs.common.events.storefront import OrderCancelled, OrderPromiseChanged, OrderShipped
from libs.common.events.values import ShippedLine
from services.delivery_notify.domain.decide import deadlines
from services.delivery_notify.domain.notices import NoticeCreated, PromiseMade
from services.delivery_notify.domain.promises import PAGE
from tests.delivery_notify.conversation_driver import MONDAY, ORDER, TOKYO, ConversationDriver, line, of
from tests.delivery_notify.order_requests import WISHES, requested
from tests.examples import examples

OUTCOMES = {
    NoticeKind.ORDER_CANCELLED,
    NoticeKind.CHANGE_ACCEPTED,
    NoticeKind.CHANGE_DECLINED,
    NoticeKind.CHANGE_OVERTAKEN,
}
OPEN_DAYS_TO_AN_OUTCOME = 3
"""Open days after which the customer has an outcome, or has been updated twice with the day of the next update."""

ACTIONS = st.one_of(
    st.tuples(
        st.sampled_from(ChangeAnswer),
        st.integers(-48, 240),
        st.none() | st.integers(0, 40).map(lambda days: date(2027, 3, 1) + timedelta(days=days)),
    ),
    st.sampled_from(["cancel 1", "cancel all", "ship 1", "ship 2"]),
    st.integers(1, 24 * 6).map(lambda hours: timedelta(hours=hours)),
    st.integers(1, 40).map(lambda days: date(2027, 3, 1) + timedelta(days=days)),
)


def act(driver: ConversationDriver, action: object) -> None:
    match action:
        case (ChangeAnswer() as given, int(hours), day):
            request_id = driver.conversation.requests[0].request_id
            at = MONDAY + timedelta(hours=hours)
            driver.handle(
                OrderChangeAnswered(
                    order_id=ORDER, request_id=request_id, answer=given, promised_ship_date=day, answered_at=at
                )
            )
        case timedelta():
            driver.advance_to(driver.now + action)
        case date():
            driver.handle(OrderPromiseChanged(order_id=ORDER, promised_ship_date=action, changed_at=driver.now))
        case "cancel all":
            driver.handle(OrderCancelled(order_id=ORDER, cancelled_at=driver.now))
        case "cancel 1":
            driver.handle(OrderCancelled(order_id=ORDER, line_ids=("1",), cancelled_at=driver.now))
        case str():
            lines = (ShippedLine(line_id=action[-1], quantity=1),)
            driver.handle(OrderShipped(order_id=ORDER, lines=lines, shipped_at=driver.now))


def live(wish: str, actions: list[object]) -> ConversationDriver:
    driver = requested(wish, line("1"), line("2"))
    for action in actions:
        act(driver, action)
        assert driver.timers == deadlines(driver.conversation)
    return driver


@settings(max_examples=examples(200), deadline=None)
@given(st.sampled_from(sorted(WISHES)), st.lists(ACTIONS, max_size=8))
def test_every_request_has_an_outcome_that_the_customer_hears_in_time(wish: str, actions: list[object]) -> None:
    driver = live(wish, actions)
    calendar = driver.rules.calendar
    (decided,) = of(driver.facts, CustomerDecided)[:1]
    last_day = calendar.add_open_days(calendar.day(decided.decided_at), OPEN_DAYS_TO_AN_OUTCOME)
    end = driver.rules.end_of(last_day)
    driver.advance_to(max(driver.now, end))
    heard = [notice for notice in driver.notices if decided.decided_at <= notice.made_at <= end]
    outcome = any(notice.kind in OUTCOMES for notice in heard)
    updates = sum(notice.kind is NoticeKind.CHANGE_PENDING for notice in heard)
    on_the_page = any(row.surface == PAGE for row in of(driver.facts, PromiseMade))
    assert outcome or updates >= 2 or on_the_page


@settings(max_examples=examples(200), deadline=None)
@given(st.sampled_from(sorted(WISHES)), st.lists(ACTIONS, max_size=8))
def test_no_cancellation_is_announced_that_the_shop_has_not_confirmed(wish: str, actions: list[object]) -> None:
    driver, confirmed = requested(wish, line("1"), line("2")), False
    for action in actions:
        confirmed = confirmed or action == "cancel all" or (isinstance(action, tuple) and action[0] == "accepted")
        confirmed = confirmed or action == "cancel 1"
        before = len(driver.notices)
        act(driver, action)
        kinds = {notice.kind for notice in driver.notices[before:]}
        assert confirmed or NoticeKind.ORDER_CANCELLED not in kinds


@settings(max_examples=examples(200), deadline=None)
@given(st.sampled_from(sorted(WISHES)), st.lists(ACTIONS, max_size=8))
def test_an_open_request_always_has_a_deadline(wish: str, actions: list[object]) -> None:
    driver = live(wish, actions)
    for request in driver.conversation.requests:
        assert (request.answer_by is not None) == request.open
        assert (f"request:{request.request_id}" in driver.timers) == request.open


@settings(max_examples=examples(200), deadline=None)
@given(st.sampled_from(sorted(WISHES)), st.lists(ACTIONS, max_size=8))
def test_no_notice_about_a_request_is_created_twice(wish: str, actions: list[object]) -> None:
    ids = [notice.notice_id for notice in of(live(wish, actions).facts, NoticeCreated)]
    assert len(ids) == len(set(ids))


ANSWERS = st.lists(
    st.tuples(
        st.sampled_from(ChangeAnswer),
        st.integers(3, 99),
        st.none() | st.integers(-5, 40).map(lambda days: date(2027, 3, 1) + timedelta(days=days)),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda answer: answer[1],
)


@settings(max_examples=examples(200), deadline=None)
@given(st.sampled_from(sorted(WISHES)), ANSWERS)
def test_in_whatever_order_answers_arrive_the_newest_stands(
    wish: str, answers: list[tuple[ChangeAnswer, int, date]]
) -> None:
    driver = live(wish, list(answers))
    newest = max(answers, key=lambda answer: answer[1])
    assert driver.conversation.requests[0].status.value == newest[0].value


@settings(max_examples=examples(200), deadline=None)
@given(st.sampled_from(sorted(WISHES)), st.lists(ACTIONS | ANSWERS.map(lambda answers: answers[0]), max_size=8))
def test_no_notice_about_a_request_names_a_ship_date_that_has_passed(wish: str, actions: list[object]) -> None:
    for notice in live(wish, actions).notices:
        day = notice.made_at.astimezone(TOKYO).date()
        assert notice.facts.ships_on is None or notice.facts.ships_on >= day
