"""Gifts: the receiver hears of the goods, the customer of the money, and the surprise is not spoilt."""

from datetime import timedelta
from typing import Any

import pytest

from libs.common.events import issues as ev
from libs.common.events.notices import NoticeKind
from libs.common.events.storefront import OrderChanged
from libs.common.events.values import Choice, Contact, ContactChange, Language, RecipientNotices, Reporter
from services.delivery_notify.domain.notices import NoticeCreated
from tests.delivery_notify.conversation_driver import MONDAY, ORDER, ConversationDriver, drive, issue, of, placed
from tests.delivery_notify.test_points import granted

RECEIVER = Contact(name="鈴木 一郎", email="ichiro@example.jp", language=Language.JA)
OWN, ALL, NONE = RecipientNotices.OWN_REPORTS, RecipientNotices.ALL_REPORTS, RecipientNotices.NONE


def gift(*events: Any, by: Reporter = Reporter.RECIPIENT, **order: Any) -> ConversationDriver:
    ordered = placed().model_copy(update={"recipient": RECEIVER, **order})
    return drive(ordered, issue(ev.IssueAccepted, reported_by=by), *events)


def addressees(driver: ConversationDriver) -> dict[NoticeKind, bool]:
    """Return whether the receiver gets each kind of notice."""
    return {notice.kind: notice.facts.for_recipient for notice in of(driver.facts, NoticeCreated)}


ORDERED, SHIPPED = issue(ev.IssueReplacementOrdered), issue(ev.IssueReplacementShipped)
REFUND = issue(ev.IssueRefundRequested)


def test_the_receiver_who_reported_hears_of_the_goods() -> None:
    found = addressees(gift(ORDERED, SHIPPED))
    assert found == {NoticeKind.ISSUE_ACCEPTED: True, NoticeKind.REPLACEMENT_SHIPPED: True}


def test_the_customer_hears_of_the_money_and_makes_the_choices() -> None:
    found = addressees(
        gift(ORDERED, issue(ev.IssueChoiceRequested, options=(Choice.REFUND,), default=Choice.REFUND), REFUND)
    )
    assert (found[NoticeKind.CHOICE_REQUESTED], found[NoticeKind.REFUND_REQUESTED]) == (False, False)


def test_an_answer_that_names_an_amount_goes_to_the_customer() -> None:
    assert addressees(gift(REFUND)) == {NoticeKind.ISSUE_ACCEPTED: False}


@pytest.mark.parametrize(
    ("by", "chosen", "receiver_hears"),
    [
        (Reporter.CUSTOMER, OWN, False),
        (Reporter.CUSTOMER, ALL, True),
        (Reporter.RECIPIENT, OWN, True),
        (Reporter.RECIPIENT, NONE, False),
        (Reporter.CUSTOMER, NONE, False),
    ],
)
def test_the_order_says_of_which_reports_the_receiver_hears(
    by: Reporter, chosen: RecipientNotices, receiver_hears: bool
) -> None:
    driver = gift(ORDERED, by=by, recipient_notices=chosen)
    assert addressees(driver) == {NoticeKind.ISSUE_ACCEPTED: receiver_hears}


def test_a_receiver_without_an_address_gets_nothing_and_the_customer_all() -> None:
    unreachable = RECEIVER.model_copy(update={"email": None})
    assert addressees(gift(ORDERED, recipient=unreachable)) == {NoticeKind.ISSUE_ACCEPTED: False}


def test_an_address_that_becomes_known_later_counts_from_then() -> None:
    change = OrderChanged(
        order_id=ORDER, customer_id=placed().customer_id, changed_at=MONDAY, recipient=ContactChange(email="i@x.jp")
    )
    unreachable = RECEIVER.model_copy(update={"email": None})
    found = addressees(gift(ORDERED, change, SHIPPED, recipient=unreachable))
    assert found == {NoticeKind.ISSUE_ACCEPTED: False, NoticeKind.REPLACEMENT_SHIPPED: True}


def test_an_older_choice_of_messages_does_not_count() -> None:
    change = OrderChanged(
        order_id=ORDER,
        customer_id=placed().customer_id,
        changed_at=MONDAY - timedelta(days=900),
        recipient_notices=NONE,
    )
    assert addressees(gift(change, ORDERED)) == {NoticeKind.ISSUE_ACCEPTED: True}


def test_the_receiver_hears_of_the_end_and_the_customer_of_the_points() -> None:
    found = addressees(gift(ORDERED, issue(ev.IssueResolved), granted()))
    assert (found[NoticeKind.ISSUE_RESOLVED], found[NoticeKind.POINTS_GRANTED]) == (True, False)


def test_the_receiver_hears_of_the_end_although_the_customer_heard_of_the_refund() -> None:
    found = addressees(gift(ORDERED, issue(ev.IssueRefunded), issue(ev.IssueResolved)))
    assert (found[NoticeKind.REFUNDED], found[NoticeKind.ISSUE_RESOLVED]) == (False, True)
