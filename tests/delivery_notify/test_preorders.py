"""Reports on preorders by both schedules, and notices of acceptance of prepaid orders."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from libs.common.decisions.calendars import Calendars
from libs.common.events.notices import NoticeKind
from libs.common.events.storefront import OrderCancelled, OrderPromiseChanged, PreorderProgressed
from libs.common.events.values import Choice
from services.delivery_notify.domain.conversation import Conversation
from services.delivery_notify.domain.customer_questions import CustomerAnswered
from services.delivery_notify.domain.notices import NoticeCreated
from services.delivery_notify.domain.preorders import MIN_GAP, next_report_at
from services.delivery_notify.policy.notification_rules import load_rules
from tests.delivery_notify.conversation_driver import (
    CALENDAR,
    FRIDAY,
    MONDAY,
    NEXT_FRIDAY,
    ORDER,
    RULES,
    ConversationDriver,
    at,
    drive,
    line,
    placed,
    reasons,
)

HOUR = timedelta(hours=1)
APRIL, MAY, JUNE = date(2027, 4, 1), date(2027, 5, 1), date(2027, 6, 30)
FROM_ORDER = load_rules(Calendars.of(CALENDAR), preorder_schedule="from_order")
PREPAID = {"amount": {"amount": "3800", "currency": "JPY"}, "received_at": MONDAY}


def preorder(line_id: str = "1", promise: date | None = JUNE, **more: Any) -> Any:
    return line(line_id, promise, preorder=True, **more)


def progressed(stage: str, moment: datetime, line_id: str = "1") -> PreorderProgressed:
    return PreorderProgressed(order_id=ORDER, line_id=line_id, stage=stage, progressed_at=moment)


def reports(driver: ConversationDriver) -> list[NoticeCreated]:
    return [notice for notice in driver.notices if notice.kind is NoticeKind.PREORDER_PROGRESS]


def days_of(driver: ConversationDriver) -> list[date]:
    return [CALENDAR.day(notice.made_at) for notice in reports(driver)]


@pytest.mark.parametrize(
    ("after", "due"),
    [
        (at(date(2027, 3, 1), 9, 59), at(date(2027, 3, 1), 10)),
        (at(date(2027, 3, 1), 10), at(date(2027, 3, 15), 10)),
        (at(date(2027, 3, 15), 10), at(APRIL, 10)),
        (at(date(2027, 1, 31), 23), at(date(2027, 2, 1), 10)),
        (at(date(2027, 12, 15), 10), at(date(2028, 1, 1), 10)),
        (at(date(2028, 2, 29), 12), at(date(2028, 3, 1), 10)),
        (datetime(2027, 2, 28, 15, 30, tzinfo=UTC), at(date(2027, 3, 1), 10)),  # 00:30 on 1 March in the shop
    ],
)
def test_reports_are_due_at_ten_on_the_first_and_the_fifteenth_of_the_shop(after: datetime, due: datetime) -> None:
    assert next_report_at(Conversation(ORDER, ordered_on=MONDAY.date()), after, RULES) == due


@pytest.mark.parametrize(
    ("after", "due"),
    [
        (at(date(2027, 3, 1), 0), at(date(2027, 3, 16), 10)),
        (at(date(2027, 3, 16), 9, 59), at(date(2027, 3, 16), 10)),
        (at(date(2027, 3, 16), 10), at(date(2027, 3, 31), 10)),
        (at(date(2028, 3, 1), 0), at(date(2028, 3, 10), 10)),
    ],
)
def test_reports_from_the_order_are_due_every_fifteen_days_after_it(after: datetime, due: datetime) -> None:
    assert next_report_at(Conversation(ORDER, ordered_on=MONDAY.date()), after, FROM_ORDER) == due


def test_an_order_without_a_day_is_reported_on_by_the_half_month() -> None:
    assert next_report_at(Conversation(ORDER), at(date(2027, 3, 2), 0), FROM_ORDER) == at(date(2027, 3, 15), 10)


def test_a_preorder_is_reported_on_until_it_ships_and_a_stocked_item_never() -> None:
    driver = drive(placed(preorder("1"), line("2", JUNE)))
    driver.advance_to(at(MAY, 11))
    assert days_of(driver) == [date(2027, 3, 15), APRIL, date(2027, 4, 15), MAY]
    assert {each.line_id for notice in reports(driver) for each in notice.facts.lines} == {"1"}


def test_reports_by_the_order_come_every_fifteen_days() -> None:
    driver = ConversationDriver(rules=FROM_ORDER)
    driver.handle(placed(preorder()))
    driver.advance_to(at(date(2027, 4, 16), 11))
    assert days_of(driver) == [date(2027, 3, 16), date(2027, 3, 31), date(2027, 4, 15)]


def test_a_report_names_the_day_of_the_next_one() -> None:
    driver = drive(placed(preorder()))
    driver.advance_to(at(date(2027, 3, 15), 10))
    (report,) = reports(driver)
    assert (report.facts.next_update_by, report.facts.answer_by) == (APRIL, at(APRIL, 10))


def test_a_report_names_the_last_date_only_if_every_line_has_one() -> None:
    dated = drive(placed(preorder("1", JUNE), preorder("2", date(2027, 7, 2))))
    undated = drive(placed(preorder("1", JUNE), preorder("2", None)))
    for driver in (dated, undated):
        driver.advance_to(at(date(2027, 3, 15), 10))
    assert [reports(driver)[0].facts.day for driver in (dated, undated)] == [date(2027, 7, 2), None]


def test_a_report_names_the_stage_before_only_where_it_has_changed_since_the_last_one() -> None:
    driver = drive(placed(preorder()), progressed("materials", MONDAY))
    driver.advance_to(at(date(2027, 3, 15), 10))
    driver.handle(progressed("production", driver.now))
    driver.advance_to(at(date(2027, 4, 15), 10))
    shown = [notice.facts.lines[0] for notice in reports(driver)]
    assert [(each.stage, each.previous_stage) for each in shown] == [
        ("materials", None),
        ("production", "materials"),
        ("production", None),
    ]


@pytest.mark.parametrize(("before", "reported"), [(MIN_GAP - HOUR, False), (MIN_GAP, True)])
def test_a_line_with_another_notice_lately_is_left_out(before: timedelta, reported: bool) -> None:
    driver = drive(placed(preorder("1"), preorder("2")))
    due = at(date(2027, 3, 15), 10)
    driver.advance_to(due - before)
    moved = date(2027, 7, 30)
    driver.handle(OrderPromiseChanged(order_id=ORDER, line_ids=("1",), promised_ship_date=moved, changed_at=driver.now))
    driver.advance_to(due)
    assert [each.line_id for each in reports(driver)[0].facts.lines] == (["1", "2"] if reported else ["2"])


def test_a_report_that_would_name_nothing_is_left_out_and_the_next_one_is_set() -> None:
    driver = drive(placed(preorder()))
    driver.advance_to(at(date(2027, 3, 14), 10))
    day = date(2027, 7, 30)
    driver.handle(OrderPromiseChanged(order_id=ORDER, promised_ship_date=day, changed_at=driver.now))
    facts = driver.advance_to(at(date(2027, 3, 15), 10))
    assert reasons(facts) == ["recent_notice"]
    assert driver.timers["progress"] == at(APRIL, 10)


def test_the_question_of_a_report_is_closed_by_the_next_report() -> None:
    driver = drive(placed(preorder()))
    driver.advance_to(at(date(2027, 3, 15), 10))
    driver.advance_to(at(APRIL, 10))
    states = [question.closed_by or question.status for question in driver.conversation.questions]
    assert len(states) == 2
    assert states[-1] == "open"


def test_silence_about_a_report_lets_the_customer_wait() -> None:
    driver = drive(placed(preorder()))
    driver.advance_to(at(date(2027, 3, 15), 10))
    assert [question.default for question in driver.conversation.questions] == [Choice.WAIT]


def test_reports_end_with_the_cancellation_of_the_last_preorder() -> None:
    driver = drive(placed(preorder("1"), line("2", JUNE)))
    driver.handle(OrderCancelled(order_id=ORDER, line_ids=("1",), cancelled_at=MONDAY))
    assert "progress" not in driver.timers
    assert driver.conversation.next_progress_at is None


def accepted(driver: ConversationDriver) -> list[NoticeCreated]:
    return [notice for notice in driver.notices if notice.kind is NoticeKind.ORDER_ACCEPTED]


def test_a_prepaid_order_is_accepted_with_amount_day_of_payment_and_last_ship_date() -> None:
    (notice,) = accepted(drive(placed(line("1"), line("2", NEXT_FRIDAY), prepaid=PREPAID)))
    facts = notice.facts
    assert (facts.amount, facts.currency, facts.received_on, facts.day) == (
        Decimal(3800),
        "JPY",
        MONDAY.date(),
        NEXT_FRIDAY,
    )
    assert ([each.line_id for each in facts.lines], facts.next_update_by) == (["1", "2"], None)


def test_a_prepaid_order_with_an_undated_line_is_accepted_with_the_day_by_which_it_has_a_date() -> None:
    (notice,) = accepted(drive(placed(line("1"), line("2", None), prepaid=PREPAID)))
    assert (notice.facts.day, notice.facts.next_update_by) == (None, date(2027, 3, 16))


@pytest.mark.parametrize("more", [{}, {"prepaid": PREPAID, "market": "US"}, {"prepaid": PREPAID, "market": "DE"}])
def test_only_a_prepaid_order_of_japan_needs_a_notice_of_acceptance(more: dict[str, Any]) -> None:
    assert accepted(drive(placed(**more))) == []


def test_a_prepaid_order_of_nothing_to_ship_needs_no_notice_of_acceptance() -> None:
    assert accepted(drive(placed(line(requires_shipping=False), prepaid=PREPAID))) == []


def test_a_notice_that_moves_the_date_of_a_prepaid_order_accepts_it_again() -> None:
    driver = drive(placed(prepaid=PREPAID))
    driver.handle(OrderPromiseChanged(order_id=ORDER, promised_ship_date=NEXT_FRIDAY, changed_at=MONDAY + HOUR))
    assert driver.notices[-1].facts.received_on == MONDAY.date()


def test_an_earlier_date_of_a_prepaid_order_is_accepted_too() -> None:
    driver = drive(placed(prepaid=PREPAID))
    early = FRIDAY - timedelta(days=1)
    driver.handle(OrderPromiseChanged(order_id=ORDER, promised_ship_date=early, changed_at=MONDAY + HOUR))
    assert (driver.kinds[-1], driver.notices[-1].facts.received_on) == (NoticeKind.ORDER_EARLY, MONDAY.date())


def test_a_day_that_the_customer_chose_is_accepted_once_by_a_notice_of_its_own() -> None:
    driver = drive(placed(prepaid=PREPAID))
    driver.handle(OrderPromiseChanged(order_id=ORDER, promised_ship_date=NEXT_FRIDAY, changed_at=MONDAY + HOUR))
    driver.advance_to(MONDAY + 2 * HOUR)
    chosen, (question,) = date(2027, 3, 19), driver.conversation.questions
    answer = {"order_id": ORDER, "choice_id": question.choice_id, "choice": "change", "requested_date": chosen}
    driver.handle(CustomerAnswered.model_validate(answer))
    assert [notice.facts.day for notice in accepted(driver)] == [FRIDAY, chosen]
    driver.handle(OrderPromiseChanged(order_id=ORDER, promised_ship_date=chosen, changed_at=driver.now))
    assert [notice.facts.day for notice in accepted(driver)] == [FRIDAY, chosen]
