"""Ship first without a card: what is out with a customer, how much their history carries, and who looks when it does
not; nobody is ever refused by a number."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from libs.common.decisions.ids import derived_id
from libs.common.events.issues import IssueCancelled, IssueReviewRequested
from libs.common.events.values import Condition, LineQuantity, Reason, Remedy
from libs.common.events.warehouse import ReplacementOrdered
from services.returns.domain.exposure import Around, Customer, Out, exposed
from services.returns.domain.review_causes import ReviewCause
from tests.returns.cases import TUESDAY, Story, accepted, line, story

ONE = LineQuantity(line_id="1", quantity=1)
OTHER = str(derived_id("issue", "another"))


def opened(around: Around, *, price: str = "20000", reason: Reason = Reason.DEFECTIVE) -> Story:
    told = Story(around=around)
    told.take(accepted(reason, line(price=price)))
    return told


def causes(told: Story) -> list[str]:
    return [review.cause for review in told.all(IssueReviewRequested)]


def with_out(amount: str) -> Around:
    return Around(customer=Customer(out={OTHER: Out(Decimal(amount), "JPY")}))


def test_under_the_cap_nobody_is_asked_for_anything() -> None:
    told = opened(with_out("40000"))
    assert told.all(ReplacementOrdered)
    assert causes(told) == []


def test_over_the_cap_a_human_decides_and_the_customer_hears_by_when() -> None:
    told = opened(with_out("40001"))
    assert causes(told) == [ReviewCause.EXPOSURE]
    assert told.last(IssueReviewRequested).due_at > told.now
    assert not told.all(ReplacementOrdered)
    assert not told.all(IssueCancelled)


def test_what_they_bought_and_kept_carries_more() -> None:
    around = replace(with_out("40001"), bought={"JPY": Decimal(20000)})
    assert opened(around).all(ReplacementOrdered)
    paid_back = replace(around.customer, refunded={OTHER: Out(Decimal(20000), "JPY")})
    assert causes(opened(replace(around, customer=paid_back))) == [ReviewCause.EXPOSURE]


def test_what_waits_for_the_goods_to_be_back_is_no_risk() -> None:
    assert causes(opened(with_out("59000"), reason=Reason.CHANGED_MIND)) == []
    assert causes(opened(with_out("59000"), reason=Reason.MISSING_ITEM)) == []


@pytest.mark.parametrize(
    ("around", "cause"),
    [
        (Around(customer=Customer(reports=(TUESDAY - timedelta(days=2),) * 5)), ReviewCause.MANY_REPORTS),
        (Around(customer=Customer(mismatched=("a", "b"))), ReviewCause.EARLIER_MISMATCHES),
        (Around(neighbours=4), ReviewCause.SHARED_ADDRESS),
    ],
)
def test_a_signal_makes_a_human_look_and_refuses_nobody(around: Around, cause: ReviewCause) -> None:
    told = opened(around)
    assert causes(told) == [cause]
    assert not told.all(IssueCancelled)


@pytest.mark.parametrize(
    "around",
    [
        Around(customer=Customer(reports=(TUESDAY - timedelta(days=91),) * 9)),
        Around(customer=Customer(mismatched=("a",))),
        Around(neighbours=3),
    ],
)
def test_what_is_long_ago_or_happens_to_anybody_is_no_signal(around: Around) -> None:
    assert causes(opened(around)) == []


def test_the_ledger_follows_the_goods() -> None:
    told = story(Reason.DEFECTIVE, line("1", 2))
    assert exposed(told.known) == 2400
    told.ship()
    told.deliver()
    told.collect()
    assert told.around.customer.exposed("JPY") == 2400
    told.receive(ONE)
    assert told.around.customer.exposed("JPY") == 1200
    told.receive(ONE, receipt_id="second")
    assert told.around.customer.exposed("JPY") == 0


def test_what_came_back_and_is_something_else_stays_out_and_is_remembered() -> None:
    told = story()
    told.ship()
    told.deliver()
    told.collect()
    told.receive()
    told.inspect(Condition.OTHER_ITEM)
    assert told.around.customer.mismatched == (str(told.known.issue_id),)
    assert told.around.customer.exposed("JPY") == 1200


def test_money_that_went_back_is_taken_from_their_history() -> None:
    told = story(Reason.MISSING_ITEM, requested_remedy=Remedy.REFUND)
    assert told.around.customer.paid_back("JPY") == 1200
