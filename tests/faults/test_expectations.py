"""The judge's expectations of wishes, lost parcels and faulty lots name what is missing, and nothing else."""

import json
from datetime import UTC, datetime
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from deploy.verification.evidence import Fact, History
from tests.faults.expectations import buyers_warned, found_parcels_count, wishes_have_outcomes

NOW = "2026-03-05T00:00:00+00:00"
_numbers = count()


def fact(type_: str, **data: Any) -> Fact:
    number = next(_numbers)
    body = {"id": str(number), "source": "/test", "type": f"{type_}.v1", "time": NOW, "data": data}
    return Fact("any", 0, number, "C-1", json.dumps(body).encode())


def history(*facts: Fact) -> History:
    return History(facts, ZoneInfo("Asia/Tokyo"), datetime.fromisoformat(NOW).astimezone(UTC))


def wish(answer_by: str) -> Fact:
    return fact("customer.decided", order_id="O-1", choice_id="W", choice="cancel", answer_by=answer_by)


def answered(answer: str, second: int) -> Fact:
    moment = f"2026-03-04T00:00:{second:02}+00:00"
    return fact("order.change_answered", order_id="O-1", request_id="W", answer=answer, answered_at=moment)


def settled(outcome: str) -> Fact:
    return fact("customer.decision_settled", order_id="O-1", choice_id="W", outcome=outcome)


OPEN, PASSED = wish("2026-03-06T00:00:00+00:00"), wish("2026-03-04T12:00:00+00:00")
SENT = fact("order.shipped", order_id="O-1")
OVERDUE = fact("customer.decision_overdue", order_id="O-1", choice_id="W", reminder=1)


@pytest.mark.parametrize(
    "facts",
    [
        (OPEN,),
        (PASSED, OVERDUE),
        (PASSED, answered("accepted", 1), settled("accepted")),
        (PASSED, answered("accepted", 1), answered("declined", 2), settled("accepted"), settled("declined")),
        (PASSED, SENT, answered("accepted", 1), settled("overtaken")),
        (PASSED, answered("accepted", 1), settled("superseded")),
    ],
)
def test_a_wish_that_is_open_overdue_or_settled_as_answered_is_no_violation(facts: tuple[Fact, ...]) -> None:
    assert list(wishes_have_outcomes(history(*facts))) == []


@pytest.mark.parametrize(
    ("facts", "named"),
    [
        ((PASSED,), "passed in silence"),
        ((OPEN, answered("accepted", 1)), "never settled"),
        (
            (OPEN, answered("accepted", 1), fact("order.shipped", order_id="O-1"), settled("overtaken")),
            "not as answered",
        ),
        ((OPEN, answered("accepted", 1), answered("declined", 2), settled("accepted")), "not as answered last"),
    ],
)
def test_a_wish_without_an_outcome_or_with_the_wrong_one_is_named(facts: tuple[Fact, ...], named: str) -> None:
    [found] = wishes_have_outcomes(history(*facts))
    assert named in found.description


LOST = fact("issue.accepted", issue_id="I", order_id="O-1", reason="lost_in_transit")
FOUND = fact("parcel.found", issue_id="I")
DELIVERED = fact("order.delivered", order_id="O-1")
REVIEW = fact("issue.review_requested", issue_id="I", cause="parcel_found")
CANCELLED = fact("issue.cancelled", issue_id="I", cause="parcel_found")


@pytest.mark.parametrize("arrival", [FOUND, DELIVERED])
@pytest.mark.parametrize("outcome", [REVIEW, CANCELLED])
def test_a_lost_parcel_that_arrives_ends_its_issue_or_comes_before_a_person(arrival: Fact, outcome: Fact) -> None:
    assert list(found_parcels_count(history(LOST, arrival, outcome))) == []


@pytest.mark.parametrize("arrival", [FOUND, DELIVERED])
def test_a_lost_parcel_that_arrives_unnoticed_is_named(arrival: Fact) -> None:
    assert len(list(found_parcels_count(history(LOST, arrival)))) == 1


SHIPPED = fact("order.shipped", order_id="O-1", lines=[{"line_id": "1", "quantity": 1, "lot": "L"}])
WARNED = fact("buyer.warned", order_id="O-1", cluster_id="C")
NOTICE = fact("notice.sent", order_id="O-1", kind="buyer_warned")
REPORTED = fact("issue.reported", order_id="O-1", issue_id="I")


@pytest.mark.parametrize("facts", [(SHIPPED, DELIVERED, WARNED, NOTICE), (SHIPPED, DELIVERED, REPORTED), (SHIPPED,)])
def test_a_buyer_who_was_warned_who_reported_or_has_nothing_yet_is_no_violation(facts: tuple[Fact, ...]) -> None:
    assert list(buyers_warned(history(*facts), "L", {"C"})) == []


@pytest.mark.parametrize(
    ("facts", "named"),
    [
        ((SHIPPED, DELIVERED), "was not warned"),
        ((WARNED, fact("buyer.warned", order_id="O-1", cluster_id="C"), NOTICE), "warned 2 times"),
        ((WARNED,), "no notice"),
    ],
)
def test_a_buyer_who_was_forgotten_or_warned_twice_is_named(facts: tuple[Fact, ...], named: str) -> None:
    [found] = buyers_warned(history(*facts), "L", {"C"})
    assert named in found.description
