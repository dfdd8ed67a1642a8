"""Promises of an order: notices when a date moves, is broken, or is kept."""

from datetime import date, timedelta

import pytest

from libs.common.events.notices import CustomerDecided, NoticeKind
from libs.common.events.storefront import OrderCancelled, OrderDelivered, OrderShipped
from libs.common.events.values import Choice, LineQuantity
from services.delivery_notify.domain.customer_questions import CustomerAnswered
from services.delivery_notify.domain.event_buffer import MAX_BUFFERED_EVENTS, EventBufferFullError
from services.delivery_notify.domain.notices import LineExcluded, PromiseMade
from tests.delivery_notify.conversation_driver import (
    FRIDAY,
    MONDAY,
    NEXT_FRIDAY,
    NEXT_WEDNESDAY,
    ORDER,
    ConversationDriver,
    at,
    drive,
    line,
    of,
    placed,
    reasons,
)
from tests.delivery_notify.order_events import changed, shipped

ONE = (LineQuantity(line_id="1", quantity=1),)


def answer(driver: ConversationDriver, choice: Choice, wish: date | None = None) -> list[str]:
    choice_id = driver.notices[-1].facts.choice_id
    assert choice_id is not None
    facts = driver.handle(CustomerAnswered(order_id=ORDER, choice_id=choice_id, choice=choice, requested_date=wish))
    return [fact.choice for fact in of(facts, CustomerDecided)] or reasons(facts)


def test_a_placed_order_is_promised_and_not_mailed() -> None:
    driver = drive(placed())
    assert [(row.version, row.day) for row in of(driver.facts, PromiseMade)] == [(1, FRIDAY)]
    assert driver.kinds == []


def test_a_later_date_is_announced_with_the_choice_to_wait_change_or_cancel() -> None:
    driver = drive(placed(), changed(NEXT_FRIDAY))
    (notice,) = driver.notices
    assert (notice.kind, notice.facts.day, notice.facts.previous_day) == (
        NoticeKind.ORDER_DELAYED,
        NEXT_FRIDAY,
        FRIDAY,
    )
    assert notice.facts.options == (Choice.WAIT, Choice.CHANGE, Choice.CANCEL)


def test_an_earlier_date_is_announced_without_a_question() -> None:
    driver = drive(placed(), changed(FRIDAY - timedelta(days=1)))
    assert [(notice.kind, notice.facts.choice_id) for notice in driver.notices] == [(NoticeKind.ORDER_EARLY, None)]


def test_the_same_date_again_is_no_news() -> None:
    driver = drive(placed(), changed(FRIDAY))
    assert driver.kinds == []


def test_a_date_older_than_the_announced_one_is_dropped() -> None:
    driver = drive(placed(), changed(NEXT_FRIDAY, 5))
    assert reasons(driver.handle(changed(NEXT_WEDNESDAY, 2))) == ["older_promise"]


def test_several_lines_that_move_together_are_one_notice() -> None:
    driver = drive(placed(line("1"), line("2")), changed(NEXT_FRIDAY))
    assert [len(notice.facts.lines) for notice in driver.notices] == [2]


def test_a_second_slip_takes_back_the_first_notice_if_it_has_not_left() -> None:
    driver = drive(placed(), changed(NEXT_WEDNESDAY, 1), changed(NEXT_FRIDAY, 2))
    assert driver.withdrawn == {driver.notices[0].notice_id}


def test_a_second_slip_closes_the_question_of_the_first() -> None:
    driver = drive(placed(), changed(NEXT_WEDNESDAY, 1), changed(NEXT_FRIDAY, 2))
    states = [question.closed_by or "open" for question in driver.conversation.questions]
    assert sorted(states) == ["open", "superseded"]


def test_a_promise_unshipped_at_its_cutoff_is_announced_with_a_new_day_of_the_policy() -> None:
    driver = drive(placed())
    driver.advance_to(at(FRIDAY, 18))
    (notice,) = driver.notices
    assert (notice.kind, notice.facts.day, notice.facts.previous_day) == (
        NoticeKind.ORDER_DELAYED,
        FRIDAY + timedelta(days=4),
        FRIDAY,
    )


def test_no_notice_is_created_before_the_cutoff_of_the_promised_day() -> None:
    driver = drive(placed())
    driver.advance_to(at(FRIDAY, 17, 59))
    assert driver.kinds == []


def test_without_further_dates_of_the_policy_the_notice_names_the_next_update() -> None:
    driver = drive(placed())
    driver.advance_to(at(date(2027, 3, 15), 18))
    assert driver.kinds == [NoticeKind.ORDER_DELAYED] * 2 + [NoticeKind.ORDER_OVERDUE]
    assert driver.notices[-1].facts.next_update_by == date(2027, 3, 16)


def test_a_same_day_order_of_the_evening_is_spoken_of_on_the_next_day() -> None:
    evening = at(FRIDAY, 19)
    driver = ConversationDriver(now=evening)
    driver.handle(placed(placed_at=evening))
    assert driver.timers["overdue"] == at(FRIDAY + timedelta(days=1), 12)


def test_a_delay_is_announced_a_minute_before_a_known_last_pickup() -> None:
    driver = drive(placed(line(ship_by=at(FRIDAY, 14, 30))))
    assert driver.timers["overdue"] == at(FRIDAY, 14, 29)


def test_a_shipment_reported_at_the_cutoff_overtakes_the_notice_about_silence() -> None:
    driver = drive(placed())
    driver.advance_to(at(FRIDAY, 18))
    driver.handle(shipped())
    assert driver.received == []


@pytest.mark.parametrize(
    "end",
    [
        shipped(),
        OrderDelivered(order_id=ORDER, lines=ONE, delivered_at=MONDAY),
        OrderCancelled(order_id=ORDER, cancelled_at=MONDAY),
        OrderCancelled(order_id=ORDER, line_ids=("1",), cancelled_at=MONDAY),
    ],
)
def test_no_notice_follows_about_a_shipped_or_cancelled_line(end: OrderShipped) -> None:
    driver = drive(placed(), end, changed(NEXT_FRIDAY))
    driver.advance_to(at(date(2027, 6, 1), 12))
    assert (driver.kinds, driver.timers) == ([], {})


def test_a_line_of_which_one_of_two_has_left_is_still_promised() -> None:
    driver = drive(placed(line(quantity=2)), shipped())
    driver.advance_to(at(FRIDAY, 18))
    assert driver.kinds == [NoticeKind.ORDER_DELAYED]


def test_an_order_that_has_shipped_has_nothing_left_to_choose() -> None:
    driver = drive(placed(), changed(NEXT_FRIDAY), shipped())
    assert answer(driver, Choice.CANCEL) == ["question_closed"]


def test_an_answer_becomes_a_decision() -> None:
    driver = drive(placed(), changed(NEXT_FRIDAY))
    assert answer(driver, Choice.CANCEL) == [Choice.CANCEL]


def test_a_second_answer_is_refused() -> None:
    driver = drive(placed(), changed(NEXT_FRIDAY))
    answer(driver, Choice.WAIT)
    assert answer(driver, Choice.CANCEL) == ["answered_before"]


def test_an_answer_after_the_time_is_over_is_refused() -> None:
    driver = drive(placed(), changed(NEXT_FRIDAY))
    driver.now += timedelta(days=30)
    assert answer(driver, Choice.CANCEL) == ["answered_late"]


@pytest.mark.parametrize("wish", [None, MONDAY.date(), date(2029, 1, 1)])
def test_another_date_must_be_a_day_to_come(wish: date | None) -> None:
    driver = drive(placed(), changed(NEXT_FRIDAY))
    assert answer(driver, Choice.CHANGE, wish) == ["date_not_possible"]


def test_the_date_the_customer_asked_for_is_no_news_when_it_is_promised() -> None:
    driver = drive(placed(), changed(NEXT_FRIDAY))
    answer(driver, Choice.CHANGE, date(2027, 3, 24))
    driver.handle(changed(date(2027, 3, 24), 3))
    assert driver.kinds == [NoticeKind.ORDER_DELAYED]


def test_no_answer_becomes_the_default_decision_when_the_time_is_over() -> None:
    driver = drive(placed(), changed(NEXT_FRIDAY))
    facts = driver.advance_to(MONDAY + timedelta(days=8))
    assert [(d.choice, d.by_default) for d in of(facts, CustomerDecided)] == [(Choice.WAIT, True)]


def test_a_customer_who_cancelled_gets_no_more_notices_of_dates() -> None:
    driver = drive(placed(), changed(NEXT_FRIDAY))
    answer(driver, Choice.CANCEL)
    facts = driver.advance_to(at(NEXT_FRIDAY, 18))
    assert set(driver.kinds[1:]) == {NoticeKind.CHANGE_PENDING}
    assert reasons(facts) == ["cancel_not_carried_out"]


def test_events_before_the_order_are_applied_once_it_is_placed() -> None:
    driver = drive(changed(NEXT_FRIDAY), placed())
    assert driver.kinds == [NoticeKind.ORDER_DELAYED]


def test_what_came_before_the_order_is_taken_in_the_order_in_which_it_happened() -> None:
    driver = drive(changed(NEXT_FRIDAY, 5), changed(NEXT_WEDNESDAY, 2), placed())
    assert driver.conversation.lines[0].shipping.day == NEXT_FRIDAY


def test_an_order_placed_twice_is_a_duplicate() -> None:
    driver = drive(placed())
    assert reasons(driver.handle(placed())) == ["duplicate_order"]


def test_a_promise_for_a_line_that_is_not_there_is_for_ops() -> None:
    driver = drive(placed())
    assert reasons(driver.handle(changed(NEXT_FRIDAY, 1, "9"))) == ["promise_for_unknown_line"]


def two_lines_and_then_one() -> ConversationDriver:
    """Both slip; an hour later one of them slips again."""
    driver = drive(placed(line("1"), line("2")), changed(NEXT_WEDNESDAY, 1))
    driver.now += timedelta(hours=2)
    driver.handle(changed(NEXT_FRIDAY, 2, "1"))
    return driver


def test_a_notice_about_two_lines_leaves_out_the_one_that_has_newer_news() -> None:
    driver = two_lines_and_then_one()
    left_out = [(fact.notice_ids, fact.line_id) for fact in of(driver.facts, LineExcluded)]
    assert left_out == [((driver.notices[0].notice_id,), "1")]


def test_a_notice_of_which_every_line_has_newer_news_is_taken_back() -> None:
    driver = two_lines_and_then_one()
    driver.handle(changed(NEXT_FRIDAY, 3, "2"))
    assert driver.notices[0].notice_id in driver.withdrawn


def test_a_question_about_two_lines_goes_on_about_the_one_without_newer_news() -> None:
    driver = two_lines_and_then_one()
    assert sorted(question.line_ids for question in driver.conversation.questions if question.open) == [
        ("1",),
        ("2",),
    ]


def test_slips_of_two_lines_within_minutes_are_one_message() -> None:
    driver = drive(placed(line("1"), line("2")), changed(NEXT_WEDNESDAY, 1, "1"), changed(NEXT_FRIDAY, 2, "2"))
    (heard,) = [notice for notice in driver.notices if notice.notice_id not in driver.withdrawn]
    assert [(each.line_id, each.ship_date, each.previous_ship_date) for each in heard.facts.lines] == [
        ("2", NEXT_FRIDAY, FRIDAY),
        ("1", NEXT_WEDNESDAY, FRIDAY),
    ]


def test_a_date_that_moves_and_moves_back_within_minutes_is_no_message() -> None:
    driver = drive(placed(), changed(NEXT_WEDNESDAY, 1), changed(FRIDAY, 2))
    assert driver.received == []


def test_a_date_in_the_past_is_no_promise() -> None:
    driver = drive(placed())
    assert reasons(driver.handle(changed(FRIDAY - timedelta(days=9)))) == ["date_in_past"]


def test_more_than_can_be_kept_before_the_order_becomes_a_dead_letter() -> None:
    driver = drive(*(changed(NEXT_FRIDAY, hours) for hours in range(MAX_BUFFERED_EVENTS)))
    with pytest.raises(EventBufferFullError, match=ORDER):
        driver.handle(changed(NEXT_FRIDAY, MAX_BUFFERED_EVENTS))
