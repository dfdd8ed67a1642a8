"""Requests to cancel or change an order: answers, facts and silence of the shop, and the notices about them."""

from datetime import date, timedelta

import pytest

from libs.common.decisions.ids import derived_id
from libs.common.events.change_requests import (
    ChangeAnswer,
    CustomerDecisionOverdue,
    CustomerDecisionSettled,
    OrderChangeAnswered,
)
from libs.common.events.notices import CustomerDecided, NoticeKind
from libs.common.events.storefront import (
    OrderChanged,
    OrderDelayed,
    OrderDelivered,
    OrderPromiseChanged,
)
from libs.common.events.values import Choice, LineQuantity
from services.delivery_notify.domain.change_request import RequestStatus
from services.delivery_notify.domain.customer_questions import CustomerAnswered
from services.delivery_notify.domain.notices import PromiseMade
from services.delivery_notify.domain.staff_notices import StaffKind, StaffNoticeCreated
from tests.delivery_notify.conversation_driver import (
    CUSTOMER,
    MONDAY,
    NEXT_FRIDAY,
    ORDER,
    at,
    drive,
    line,
    of,
    placed,
    reasons,
)
from tests.delivery_notify.order_requests import (
    HOUR,
    LATER,
    OSAKA,
    TUESDAY_NOON,
    WISHES,
    answer,
    asked,
    cancel,
    kinds_in,
    notices_in,
    request_of,
    requested,
    ship,
)


@pytest.mark.parametrize("wish", WISHES)
def test_a_request_asks_the_storefront_for_an_answer_by_the_next_open_noon(wish: str) -> None:
    (decided,) = of(requested(wish).facts, CustomerDecided)
    assert decided.answer_by == TUESDAY_NOON


def test_waiting_asks_nobody_for_an_answer() -> None:
    driver = asked()
    choice_id = driver.conversation.questions[0].choice_id
    facts = driver.handle(CustomerAnswered(order_id=ORDER, choice_id=choice_id, choice=Choice.WAIT))
    assert [each.answer_by for each in of(facts, CustomerDecided)] == [None]
    assert driver.conversation.requests == ()


@pytest.mark.parametrize("wish", WISHES)
def test_staff_are_notified_of_a_request_at_once(wish: str) -> None:
    (notice,) = of(requested(wish).facts, StaffNoticeCreated)
    assert (notice.kind, notice.facts["requested"], notice.made_at) == (
        StaffKind.CHANGE_REQUESTED,
        wish,
        MONDAY + 2 * HOUR,
    )


@pytest.mark.parametrize("wish", WISHES)
def test_nothing_is_announced_as_done_before_the_shop_says_so(wish: str) -> None:
    driver = requested(wish)
    assert driver.kinds == [NoticeKind.ORDER_DELAYED]


@pytest.mark.parametrize(
    ("wish", "kind"),
    [
        ("cancel", NoticeKind.ORDER_CANCELLED),
        ("date", NoticeKind.CHANGE_ACCEPTED),
        ("item", NoticeKind.CHANGE_ACCEPTED),
        ("address", NoticeKind.CHANGE_ACCEPTED),
    ],
)
def test_an_accepted_request_is_announced(wish: str, kind: NoticeKind) -> None:
    assert kinds_in(answer(requested(wish), "accepted")) == [kind]


def test_a_cancellation_of_the_shop_accepts_the_request_of_the_customer() -> None:
    driver = requested("cancel")
    facts = cancel(driver)
    assert kinds_in(facts) == [NoticeKind.ORDER_CANCELLED]
    assert [each.outcome for each in of(facts, CustomerDecisionSettled)] == ["accepted"]


def test_an_answer_and_the_cancellation_itself_are_announced_once() -> None:
    driver = requested("cancel")
    answer(driver, "accepted")
    assert kinds_in(cancel(driver)) == []


def test_a_cancellation_of_some_lines_waits_for_the_others() -> None:
    driver = requested("cancel", line("1"), line("2"))
    assert kinds_in(cancel(driver, "1")) == []
    assert kinds_in(cancel(driver, "2")) == [NoticeKind.ORDER_CANCELLED]


def test_a_new_address_in_the_order_accepts_the_request() -> None:
    driver = requested("address")
    changed = OrderChanged(order_id=ORDER, customer_id=CUSTOMER, ship_to=OSAKA, changed_at=driver.now)
    assert kinds_in(driver.handle(changed)) == [NoticeKind.CHANGE_ACCEPTED]


def test_an_address_that_was_changed_before_the_request_accepts_nothing() -> None:
    driver = requested("address")
    changed = OrderChanged(order_id=ORDER, customer_id=CUSTOMER, ship_to=OSAKA, changed_at=MONDAY)
    assert kinds_in(driver.handle(changed)) == []


def test_another_item_on_the_line_accepts_the_request() -> None:
    driver = requested("item")
    lines = (line("1", sku="KYUSU-2"),)
    changed = OrderChanged(order_id=ORDER, customer_id=CUSTOMER, lines=lines, changed_at=driver.now)
    assert kinds_in(driver.handle(changed)) == [NoticeKind.CHANGE_ACCEPTED]


def test_an_accepted_day_for_goods_without_a_date_is_promised() -> None:
    driver = requested("date")
    answer(driver, "declined", day=NEXT_FRIDAY)
    facts = answer(driver, "accepted", day=LATER, at=driver.now + HOUR)
    assert [row.day for row in of(facts, PromiseMade)] == [LATER]
    assert [notice.promised_date for notice in notices_in(facts)] == [LATER]


def test_a_declined_day_gives_way_to_the_day_before_it() -> None:
    driver = requested("date")
    facts = answer(driver, "declined", reason="already_packed")
    (notice,) = notices_in(facts)
    assert (notice.kind, notice.facts.code, notice.facts.ships_on) == (
        NoticeKind.CHANGE_DECLINED,
        "already_packed",
        NEXT_FRIDAY,
    )
    assert [ref.day for ref in notice.promises.supersedes] == [LATER]


def test_after_a_declined_cancellation_the_promise_is_watched_again() -> None:
    driver = requested("cancel")
    (notice,) = notices_in(answer(driver, "declined"))
    assert notice.facts.ships_on == NEXT_FRIDAY
    facts = driver.advance_to(at(NEXT_FRIDAY, 19))
    assert kinds_in(facts) == [NoticeKind.ORDER_DELAYED]


def test_a_cancellation_by_law_that_the_shop_declines_is_reported() -> None:
    driver = drive(
        placed(market="US"),
        OrderPromiseChanged(order_id=ORDER, promised_ship_date=date(2027, 5, 3), changed_at=MONDAY + HOUR),
    )
    driver.advance_to(next(question for question in driver.conversation.questions).due_at)
    assert "statutory_cancellation_declined" in reasons(answer(driver, "declined"))


def test_a_cancellation_by_silence_is_announced_when_it_is_carried_out() -> None:
    driver = drive(
        placed(market="US"),
        OrderPromiseChanged(order_id=ORDER, promised_ship_date=date(2027, 5, 3), changed_at=MONDAY + HOUR),
    )
    driver.advance_to(next(question for question in driver.conversation.questions).due_at)
    assert NoticeKind.ORDER_CANCELLED not in driver.kinds
    assert kinds_in(cancel(driver)) == [NoticeKind.ORDER_CANCELLED]


@pytest.mark.parametrize("wish", ["cancel", "item", "address"])
def test_a_missed_answer_gives_the_customer_the_day_of_the_next_update(wish: str) -> None:
    (notice,) = notices_in(requested(wish).advance_to(TUESDAY_NOON))
    assert (notice.kind, notice.facts.next_update_by) == (NoticeKind.CHANGE_PENDING, date(2027, 3, 3))


def test_a_missed_answer_reminds_staff_and_names_the_next_deadline() -> None:
    driver = requested("cancel")
    facts = driver.advance_to(TUESDAY_NOON)
    assert [each.kind for each in of(facts, StaffNoticeCreated)] == [StaffKind.CHANGE_UNANSWERED]
    assert [(each.reminder, each.answer_by) for each in of(facts, CustomerDecisionOverdue)] == [
        (1, at(date(2027, 3, 3), 12))
    ]


def test_a_promised_day_that_the_shop_does_not_answer_reminds_staff_alone() -> None:
    facts = requested("date").advance_to(TUESDAY_NOON)
    assert (kinds_in(facts), len(of(facts, StaffNoticeCreated))) == ([], 1)


@pytest.mark.parametrize("wish", ["cancel", "item", "address"])
def test_goods_that_leave_despite_an_open_request_are_announced_and_reported(wish: str) -> None:
    driver = requested(wish)
    facts = ship(driver)
    assert kinds_in(facts) == [NoticeKind.CHANGE_OVERTAKEN]
    assert [each.kind for each in of(facts, StaffNoticeCreated)] == [StaffKind.CHANGE_OVERTAKEN]


def test_goods_that_leave_after_the_cancellation_was_confirmed_are_announced() -> None:
    driver = requested("cancel")
    answer(driver, "accepted")
    (notice,) = notices_in(ship(driver))
    assert (notice.kind, notice.facts.code) == (NoticeKind.CHANGE_OVERTAKEN, "accepted")


def test_goods_that_arrive_without_a_shipment_overtake_the_cancellation_too() -> None:
    driver = requested("cancel")
    lines = (LineQuantity(line_id="1", quantity=1),)
    facts = driver.handle(OrderDelivered(order_id=ORDER, lines=lines, delivered_at=driver.now))
    assert kinds_in(facts) == [NoticeKind.CHANGE_OVERTAKEN]


def test_goods_that_leave_on_the_requested_day_accept_it() -> None:
    driver = requested("date")
    driver.advance_to(at(LATER, 9))
    assert kinds_in(ship(driver)) == [NoticeKind.CHANGE_ACCEPTED]


def test_goods_that_leave_before_the_requested_day_are_announced() -> None:
    assert kinds_in(ship(requested("date"))) == [NoticeKind.CHANGE_OVERTAKEN]


def test_a_redirected_item_or_address_may_ship() -> None:
    for wish in ("item", "address"):
        driver = requested(wish)
        answer(driver, "accepted")
        assert kinds_in(ship(driver)) == []


def test_a_request_stays_open_for_the_lines_that_did_not_leave() -> None:
    driver = requested("cancel", line("1"), line("2"))
    ship(driver, "1")
    assert (request_of(driver).status, request_of(driver).line_ids) == (RequestStatus.OPEN, ("2",))
    assert kinds_in(cancel(driver, "2")) == [NoticeKind.ORDER_CANCELLED]


def test_units_that_left_before_the_request_do_not_overtake_it() -> None:
    driver = asked(line("1", quantity=2))
    ship(driver)
    choice_id = next(question for question in driver.conversation.questions if question.open).choice_id
    driver.handle(CustomerAnswered(order_id=ORDER, choice_id=choice_id, **WISHES["cancel"]))
    lines = (LineQuantity(line_id="1", quantity=1),)
    assert kinds_in(driver.handle(OrderDelivered(order_id=ORDER, lines=lines, delivered_at=driver.now))) == []


def test_an_order_that_the_shop_cancels_ends_every_other_request() -> None:
    driver = requested("address")
    (notice,) = notices_in(cancel(driver))
    assert (notice.kind, notice.facts.code) == (NoticeKind.CHANGE_DECLINED, "order_cancelled")


def test_the_newest_answer_counts_by_the_clock_of_the_shop() -> None:
    driver = requested("cancel")
    answer(driver, "declined", at=driver.now + 2 * HOUR)
    stale = OrderChangeAnswered(
        order_id=ORDER,
        request_id=request_of(driver).request_id,
        answer=ChangeAnswer.ACCEPTED,
        answered_at=driver.now - HOUR,
    )
    assert reasons(driver.handle(stale)) == ["older_answer"]
    assert kinds_in(answer(driver, "accepted", at=driver.now + HOUR)) == [NoticeKind.ORDER_CANCELLED]


def test_a_repeated_answer_is_announced_once() -> None:
    driver = requested("address")
    answer(driver, "accepted")
    assert reasons(answer(driver, "accepted", at=driver.now + HOUR)) == ["repeated_answer"]


@pytest.mark.parametrize(("given", "other"), [("accepted", "declined"), ("declined", "accepted")])
def test_an_answer_from_before_a_repeated_one_is_older(given: str, other: str) -> None:
    driver = requested("address")
    first = driver.now
    answer(driver, given, at=first)
    answer(driver, given, at=first + 2 * HOUR)
    assert reasons(answer(driver, other, at=first + HOUR)) == ["older_answer"]


def test_a_ship_date_that_has_passed_is_not_announced() -> None:
    driver = requested("address")
    driver.handle(OrderDelayed(order_id=ORDER, cause="typhoon", delayed_at=driver.now))
    (notice,) = notices_in(answer(driver, "accepted", day=date(2027, 2, 1)))
    assert (notice.kind, notice.facts.ships_on) == (NoticeKind.CHANGE_ACCEPTED, None)


def test_a_repeated_answer_with_another_ship_date_is_announced_with_it() -> None:
    for given, day in (("accepted", LATER), ("declined", NEXT_FRIDAY)):
        driver = requested("address")
        answer(driver, given, day=day)
        facts = answer(driver, given, day=LATER + timedelta(days=4), at=driver.now + HOUR)
        assert [row.day for row in of(facts, PromiseMade)] == [LATER + timedelta(days=4)]
        assert [notice.facts.ships_on for notice in notices_in(facts)] == [LATER + timedelta(days=4)]
        assert reasons(answer(driver, given, day=LATER + timedelta(days=4), at=driver.now + HOUR)) == [
            "repeated_answer"
        ]


def test_an_answer_to_no_request_is_reported() -> None:
    unknown = OrderChangeAnswered(
        order_id=ORDER, request_id=derived_id("x", 1), answer=ChangeAnswer.ACCEPTED, answered_at=MONDAY
    )
    assert reasons(drive(placed()).handle(unknown)) == ["answer_to_unknown_request"]


def test_an_answer_ends_the_deadline() -> None:
    driver = requested("cancel")
    assert [name for name in driver.timers if name.startswith("request")]
    answer(driver, "accepted")
    assert not [name for name in driver.timers if name.startswith("request")]


def test_a_newer_request_about_the_same_lines_supersedes_the_older_one() -> None:
    driver = requested("address")
    later = OrderPromiseChanged(order_id=ORDER, promised_ship_date=date(2027, 3, 15), changed_at=driver.now + HOUR)
    driver.advance_to(driver.now + HOUR)
    driver.handle(later)
    driver.advance_to(driver.now + HOUR)
    choice_id = next(question for question in driver.conversation.questions if question.open).choice_id
    facts = driver.handle(CustomerAnswered(order_id=ORDER, choice_id=choice_id, **WISHES["cancel"]))
    assert [each.outcome for each in of(facts, CustomerDecisionSettled)] == ["superseded"]
    assert [each.status for each in driver.conversation.requests] == [RequestStatus.SUPERSEDED, RequestStatus.OPEN]
