"""Shops answer wishes about orders in every manner, and carry out what they accept."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from libs.common.events.change_requests import OrderChangeAnswered
from tests.faults.order_wishes import ShopManner, WishAnswer, to_wish
from tests.faults.workload import UNIT_PRICE

NOW = datetime(2026, 3, 2, tzinfo=UTC)
DEADLINE = NOW + timedelta(days=1)


def wish(**more: Any) -> dict[str, Any]:
    ids = {"order_id": "F000001", "customer_id": "C000001", "choice_id": str(UUID(int=1))}
    return {**ids, "choice": "cancel", "answer_by": DEADLINE.isoformat(), **more}


def by_manner(decided: dict[str, Any]) -> dict[ShopManner, WishAnswer]:
    found = [to_wish(decided, 2, UNIT_PRICE, Random(number), NOW) for number in range(200)]
    answers: defaultdict[ShopManner, WishAnswer] = defaultdict(lambda: found[0])
    return answers | {each.manner: each for each in found}


def names(answer: WishAnswer) -> list[str]:
    return [each.name for each in answer.answers]


def test_a_cancellation_is_answered_in_every_manner() -> None:
    found = by_manner(wish())
    assert {manner: names(answer) for manner, answer in found.items()} == {
        ShopManner.ACCEPTS: ["accepted", "cancelled", "refunded"],
        ShopManner.DECLINES: ["declined", "shipped", "delivered"],
        ShopManner.LATE: ["accepted", "cancelled", "refunded"],
        ShopManner.CONTRADICTS: ["accepted", "declined", "shipped", "delivered"],
        ShopManner.SHIPS: ["shipped", "delivered"],
        ShopManner.SILENT: [],
    }


def test_a_late_answer_comes_after_the_deadline_and_says_so() -> None:
    late = by_manner(wish())[ShopManner.LATE]
    assert late.not_before
    assert late.not_before > DEADLINE
    payload = late.answers[0].payload
    assert isinstance(payload, OrderChangeAnswered)
    assert payload.answered_at > DEADLINE


def test_another_day_is_promised_and_another_item_ends_the_order() -> None:
    day = by_manner(wish(choice="change", change="date", requested_date="2026-03-20"))
    assert names(day[ShopManner.ACCEPTS]) == ["accepted", "moved", "shipped", "delivered"]
    item = by_manner(wish(choice="change", change="item"))
    assert names(item[ShopManner.ACCEPTS]) == ["accepted", "cancelled", "refunded"]


def test_a_customer_who_waits_gets_the_order() -> None:
    assert names(to_wish(wish(choice="wait", answer_by=None), 2, UNIT_PRICE, Random(1), NOW)) == [
        "shipped",
        "delivered",
    ]
