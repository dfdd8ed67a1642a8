"""Effects of answers: what is published, promised, cancelled and announced, under the law of each market."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from libs.common.decisions.facts import Fact
from libs.common.decisions.ids import derived_id
from libs.common.events import issues as ev
from libs.common.events.notices import ChangeSubject, CustomerDecided, DecidedBy, NoticeKind
from libs.common.events.storefront import OrderCancelled, OrderDelayed, OrderPromiseChanged
from libs.common.events.values import Address, Choice
from services.delivery_notify.domain.conversation import Question
from services.delivery_notify.domain.customer_questions import MAX_DATE_AHEAD, CustomerAnswered
from services.delivery_notify.domain.notices import AddressRequested, NoticeCreated, PromiseMade
from tests.delivery_notify.conversation_driver import (
    CUSTOMER,
    ISSUE,
    MONDAY,
    NEXT_FRIDAY,
    ORDER,
    ConversationDriver,
    at,
    drive,
    issue,
    line,
    of,
    placed,
    reasons,
)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MAY = date(2027, 5, 6)
OSAKA = Address(name="山田 花子", postal_code="5300001", country="JP", city="大阪市", street="梅田 1-1")
PREPAID = {"amount": {"amount": "7600", "currency": "JPY"}, "received_at": MONDAY}


def moved(day: date = NEXT_FRIDAY, *line_ids: str) -> OrderPromiseChanged:
    at_once = MONDAY + HOUR
    return OrderPromiseChanged(order_id=ORDER, line_ids=line_ids, promised_ship_date=day, changed_at=at_once)


def undated(*line_ids: str) -> OrderDelayed:
    return OrderDelayed(order_id=ORDER, line_ids=line_ids, cause="typhoon", delayed_at=MONDAY + HOUR)


def asked(*lines: Any, delay: Any = None, **order: Any) -> ConversationDriver:
    """An order with a delay that was announced, and the open question about it."""
    driver = drive(placed(*lines, **order), delay or moved())
    driver.advance_to(MONDAY + 2 * HOUR)
    return driver


def question_of(driver: ConversationDriver) -> Question:
    return next(question for question in driver.conversation.questions if question.open)


def answer(driver: ConversationDriver, choice: Choice, **more: Any) -> Sequence[Fact]:
    choice_id = question_of(driver).choice_id
    return driver.handle(CustomerAnswered(order_id=ORDER, choice_id=choice_id, choice=choice, **more))


def change(driver: ConversationDriver, subject: ChangeSubject, **more: Any) -> Sequence[Fact]:
    return answer(driver, Choice.CHANGE, change=subject, **more)


def decided(facts: Sequence[Fact]) -> CustomerDecided:
    (found,) = of(facts, CustomerDecided)
    return found


def let_pass(driver: ConversationDriver) -> Sequence[Fact]:
    """Let the deadline of the question pass."""
    return driver.advance_to(question_of(driver).due_at)


def cancel(driver: ConversationDriver) -> Sequence[Fact]:
    """The customer cancels, and the shop carries it out."""
    line_ids = question_of(driver).line_ids
    answer(driver, Choice.CANCEL)
    return driver.handle(OrderCancelled(order_id=ORDER, line_ids=line_ids, cancelled_at=driver.now))


def cancelled_notices(facts: Sequence[Fact]) -> list[NoticeCreated]:
    return [notice for notice in of(facts, NoticeCreated) if notice.kind is NoticeKind.ORDER_CANCELLED]


def test_an_answer_names_its_customer_lines_and_reason() -> None:
    found = decided(answer(asked(line("1"), line("2"), delay=moved(NEXT_FRIDAY, "2")), Choice.WAIT))
    assert (found.customer_id, found.line_ids, found.reason, found.by_default) == (
        CUSTOMER,
        ("2",),
        DecidedBy.CUSTOMER,
        False,
    )
    assert (found.change, found.requested_date, found.requested_sku) == (None, None, None)


def test_a_default_names_silence_as_its_reason() -> None:
    found = decided(let_pass(asked()))
    assert (found.choice, found.reason, found.by_default) == (Choice.WAIT, DecidedBy.SILENCE, True)


def test_a_default_set_by_law_names_its_deadline_as_the_reason() -> None:
    found = decided(let_pass(asked(market="US", delay=moved(MAY))))
    assert (found.choice, found.reason) == (Choice.CANCEL, DecidedBy.DEADLINE)


def test_an_answer_about_an_issue_names_the_customer_of_the_issue_before_the_order_is_known() -> None:
    driver = drive(issue(ev.IssueChoiceRequested, options=(Choice.REFUND,), default=Choice.REFUND))
    assert decided(answer(driver, Choice.REFUND)).customer_id == CUSTOMER


def test_an_answer_to_a_question_of_nobody_is_reported_to_ops() -> None:
    driver = asked()
    driver.state = replace(driver.conversation, customer_id=None)
    facts = answer(driver, Choice.WAIT)
    assert (reasons(list(facts)), of(facts, CustomerDecided)) == (["answer_without_customer"], [])


def test_an_answer_to_an_unknown_question_is_reported_to_ops() -> None:
    command = CustomerAnswered(order_id=ORDER, choice_id=derived_id("choice", 9), choice=Choice.WAIT)
    assert reasons(asked().handle(command)) == ["answer_to_unknown_question"]


def test_a_chosen_day_is_promised_on_the_page() -> None:
    driver = asked()
    facts = change(driver, ChangeSubject.DATE, requested_date=date(2027, 3, 19))
    (row,) = of(facts, PromiseMade)
    assert (row.day, row.version, row.source, row.surface) == (
        date(2027, 3, 19),
        3,
        "customer.decided",
        "choice_page",
    )
    assert decided(facts).requested_date == date(2027, 3, 19)


def test_a_chosen_day_is_recorded_after_the_date_of_a_shop_whose_clock_is_ahead() -> None:
    driver = drive(placed(), moved())
    facts = change(driver, ChangeSubject.DATE, requested_date=date(2027, 3, 19))
    assert [row.promised_at for row in of(facts, PromiseMade)] == [MONDAY + HOUR]


def test_a_chosen_day_counts_for_the_law_like_a_first_promise() -> None:
    driver = asked(market="US")
    change(driver, ChangeSubject.DATE, requested_date=date(2027, 3, 19))
    ship = driver.conversation.lines[0].shipping
    assert (ship.first_day, ship.slips) == (date(2027, 3, 19), 0)


def test_the_promised_day_chosen_again_is_no_new_promise() -> None:
    assert of(change(asked(), ChangeSubject.DATE, requested_date=NEXT_FRIDAY), PromiseMade) == []


def test_a_day_for_goods_without_a_date_is_passed_on_and_not_promised() -> None:
    facts = change(asked(delay=undated()), ChangeSubject.DATE, requested_date=MAY)
    assert (decided(facts).requested_date, of(facts, PromiseMade)) == (MAY, [])


@pytest.mark.parametrize(
    ("day", "refusal"),
    [
        (MONDAY.date(), "date_not_possible"),
        (MONDAY.date() + DAY, "date_not_possible"),  # before the promised day
        (NEXT_FRIDAY - DAY, "date_not_possible"),
        (MONDAY.date() + MAX_DATE_AHEAD, None),
        (MONDAY.date() + MAX_DATE_AHEAD + DAY, "date_not_possible"),
        (None, "date_not_possible"),
        (NEXT_FRIDAY + DAY, "date_closed"),  # a Saturday
    ],
)
def test_a_day_is_possible_from_the_promised_one_up_to_a_year(day: date | None, refusal: str | None) -> None:
    facts = change(asked(), ChangeSubject.DATE, requested_date=day)
    assert reasons(list(facts)) == ([refusal] if refusal else [])


def test_another_item_is_requested_and_the_ordered_one_is_given_up() -> None:
    driver = asked()
    found = decided(change(driver, ChangeSubject.ITEM, requested_sku="KYUSU-2"))
    assert (found.change, found.requested_sku) == (ChangeSubject.ITEM, "KYUSU-2")
    assert driver.conversation.lines[0].cancel_requested


def test_another_address_is_stored_and_changes_no_line() -> None:
    driver = asked()
    before = driver.conversation.lines[0].shipping
    facts = change(driver, ChangeSubject.ADDRESS, address=OSAKA)
    assert of(facts, AddressRequested) == [AddressRequested(ORDER, decided(facts).choice_id, OSAKA)]
    after = driver.conversation.lines[0]
    assert (after.shipping, after.cancel_requested) == (before, False)


@pytest.mark.parametrize(("subject", "refusal"), [("item", "item_missing"), ("address", "address_missing")])
def test_a_change_without_its_value_is_refused(subject: str, refusal: str) -> None:
    assert reasons(list(change(asked(), ChangeSubject(subject)))) == [refusal]


EVERYTHING: dict[str, Any] = {"requested_date": date(2020, 1, 1), "requested_sku": "KYUSU-2", "address": OSAKA}


@pytest.mark.parametrize("subject", [ChangeSubject.ITEM, ChangeSubject.ADDRESS])
def test_a_day_that_a_form_sends_beside_another_change_is_not_promised(subject: ChangeSubject) -> None:
    facts = change(asked(), subject, **EVERYTHING)
    assert (of(facts, PromiseMade), decided(facts).requested_date) == ([], None)


@pytest.mark.parametrize("subject", [ChangeSubject.ITEM, ChangeSubject.DATE])
def test_an_address_that_a_form_sends_beside_another_change_is_not_stored(subject: ChangeSubject) -> None:
    values = EVERYTHING | {"requested_date": date(2027, 3, 19)}
    assert of(change(asked(), subject, **values), AddressRequested) == []


@pytest.mark.parametrize("subject", [ChangeSubject.ADDRESS, ChangeSubject.DATE])
def test_an_item_that_a_form_sends_beside_another_change_is_not_requested(subject: ChangeSubject) -> None:
    values = EVERYTHING | {"requested_date": date(2027, 3, 19)}
    assert decided(change(asked(), subject, **values)).requested_sku is None


def test_who_waits_without_a_date_has_accepted_that() -> None:
    driver = asked(delay=undated())
    answer(driver, Choice.WAIT)
    assert driver.conversation.lines[0].accepted_open_wait


def test_silence_is_no_acceptance_of_a_wait_without_a_date() -> None:
    driver = asked(delay=undated())
    let_pass(driver)
    assert not driver.conversation.lines[0].accepted_open_wait


def test_who_waits_for_a_date_has_accepted_that_date_only() -> None:
    driver = asked()
    answer(driver, Choice.WAIT)
    assert not driver.conversation.lines[0].accepted_open_wait


def test_an_answer_ends_the_lapse_of_the_consent() -> None:
    driver = asked(market="US", delay=undated())
    assert driver.conversation.lines[0].consent_lapses_at is not None
    answer(driver, Choice.WAIT)
    assert driver.conversation.lines[0].consent_lapses_at is None


def test_a_cancellation_names_the_last_day_of_its_refund() -> None:
    driver = asked()
    facts = answer(driver, Choice.CANCEL)
    assert decided(facts).refund_due_on == date(2027, 3, 10)  # seven working days of Japan
    (notice,) = cancelled_notices(driver.handle(OrderCancelled(order_id=ORDER, cancelled_at=driver.now)))
    assert (notice.facts.refund_by, notice.facts.decided_by) == (date(2027, 3, 10), DecidedBy.CUSTOMER)


def test_the_refund_of_a_cancellation_by_law_counts_from_the_day_that_the_law_names() -> None:
    facts = let_pass(asked(market="US", delay=moved(MAY)))
    assert decided(facts).refund_due_on == date(2027, 4, 13)  # seven working days after 4 April


def test_the_refund_of_a_cancellation_by_the_customer_counts_from_their_answer() -> None:
    facts = answer(asked(market="US", delay=moved(MAY)), Choice.CANCEL)
    assert decided(facts).refund_due_on == date(2027, 3, 10)


def test_an_answer_other_than_a_cancellation_names_no_refund() -> None:
    assert decided(answer(asked(), Choice.WAIT)).refund_due_on is None


def test_a_cancelled_replacement_is_refunded_by_the_issue_and_not_by_the_order() -> None:
    driver = drive(placed(), issue(ev.IssueAccepted))
    driver.handle(issue(ev.IssueChoiceRequested, options=(Choice.CANCEL, Choice.REFUND), default=Choice.REFUND))
    facts = answer(driver, Choice.CANCEL)
    assert (decided(facts).issue_id, decided(facts).refund_due_on, cancelled_notices(facts)) == (ISSUE, None, [])


def test_a_cancellation_withdraws_what_was_still_to_be_announced_about_its_lines() -> None:
    driver = asked()
    driver.handle(OrderPromiseChanged(order_id=ORDER, promised_ship_date=MAY, changed_at=driver.now))
    unsent = driver.notices[-1]
    answer(driver, Choice.CANCEL)
    assert unsent.notice_id in driver.withdrawn_unsent


def test_a_cancelled_line_leaves_the_others_as_they_are() -> None:
    driver = asked(line("1"), line("2"), delay=moved(NEXT_FRIDAY, "2"))
    (notice,) = cancelled_notices(cancel(driver))
    assert [each.line_id for each in notice.facts.lines] == ["2"]
    assert [each.cancelled for each in driver.conversation.lines] == [False, True]


def test_the_amount_is_named_only_if_the_whole_order_is_cancelled() -> None:
    whole = asked(line("1"), prepaid=PREPAID)
    part = asked(line("1"), line("2"), delay=moved(NEXT_FRIDAY, "2"), prepaid=PREPAID)
    amounts = [cancelled_notices(cancel(driver))[0].facts for driver in (whole, part)]
    assert [(each.amount, each.currency) for each in amounts] == [(Decimal(7600), "JPY"), (None, None)]
    assert [each.received_on for each in amounts] == [MONDAY.date(), MONDAY.date()]


def test_the_last_line_to_be_cancelled_makes_the_order_a_cancelled_one() -> None:
    driver = asked(line("1"), line("2"), delay=moved(NEXT_FRIDAY, "1"), prepaid=PREPAID)
    answer(driver, Choice.CANCEL)
    driver.handle(moved(NEXT_FRIDAY, "2").model_copy(update={"changed_at": driver.now}))
    (notice,) = cancelled_notices(cancel(driver))
    assert notice.facts.amount == Decimal(7600)


def test_an_order_that_was_not_prepaid_has_no_amount_to_name() -> None:
    (notice,) = cancelled_notices(cancel(asked()))
    assert (notice.facts.amount, notice.facts.received_on) == (None, None)


@pytest.mark.parametrize("moment", [MONDAY + 2 * HOUR, at(date(2027, 3, 8), 12) - timedelta(seconds=1)])
def test_a_question_is_not_decided_before_its_deadline(moment: datetime) -> None:
    driver = asked()
    driver.advance_to(min(moment, question_of(driver).due_at - timedelta(seconds=1)))
    assert of(driver.facts, CustomerDecided) == []


def test_a_cancellation_that_nobody_carries_out_is_reported_to_staff() -> None:
    driver = asked()
    answer(driver, Choice.CANCEL)
    facts = driver.advance_to(at(NEXT_FRIDAY, 18))
    assert reasons(facts) == ["cancel_not_carried_out"]
    assert not cancelled_notices(driver.facts)
    assert "overdue" in driver.timers
