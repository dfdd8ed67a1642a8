"""The shop's answers to what customers wish about a late order: pure, drawn from the wish alone.

Shops accept, decline, answer after the deadline, contradict themselves, ship without an answer, or never do anything.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from libs.common.events import storefront
from libs.common.events.change_requests import ChangeAnswer, OrderChangeAnswered
from libs.common.events.values import LineQuantity, Money, RefundedLine
from tests.faults.answers import PartnerAnswer, PartnerAnswers


class ShopManner(StrEnum):
    """Manner of a shop in answering a request of a customer."""

    ACCEPTS = "accepts"
    DECLINES = "declines"
    LATE = "late"
    CONTRADICTS = "contradicts"
    SHIPS = "ships"
    SILENT = "silent"


WEIGHTS = {
    ShopManner.ACCEPTS: 40,
    ShopManner.DECLINES: 20,
    ShopManner.LATE: 10,
    ShopManner.CONTRADICTS: 10,
    ShopManner.SHIPS: 10,
    ShopManner.SILENT: 10,
}


@dataclass(frozen=True, slots=True)
class WishAnswer:
    """Answers to a wish, not to be published before `not_before`."""

    manner: ShopManner
    answers: PartnerAnswers
    not_before: datetime | None = None


def to_wish(decided: Mapping[str, Any], quantity: int, price: Money, rng: random.Random, now: datetime) -> WishAnswer:
    """The answer to `customer.decided` about an order of `quantity` units that has not shipped."""
    wish = _Wish(decided, quantity, price, now)
    if not decided.get("answer_by"):
        return WishAnswer(ShopManner.SHIPS, list(wish.shipped()))
    manner = rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    if manner == ShopManner.LATE:
        deadline = datetime.fromisoformat(decided["answer_by"]) + timedelta(hours=1)
        return WishAnswer(manner, list(_Wish(decided, quantity, price, deadline).accepted()), deadline)
    return WishAnswer(manner, list(wish.answers(manner)))


@dataclass(frozen=True, slots=True)
class _Wish:
    decided: Mapping[str, Any]
    quantity: int
    price: Money
    now: datetime

    @property
    def order_id(self) -> str:
        return str(self.decided["order_id"])

    def answers(self, manner: ShopManner) -> Iterator[PartnerAnswer]:
        match manner:
            case ShopManner.ACCEPTS:
                yield from self.accepted()
            case ShopManner.DECLINES:
                yield self._answered("declined", ChangeAnswer.DECLINED, 1)
                yield from self.shipped()
            case ShopManner.CONTRADICTS:
                yield self._answered("accepted", ChangeAnswer.ACCEPTED, 1)
                yield self._answered("declined", ChangeAnswer.DECLINED, 2)
                yield from self.shipped()
            case ShopManner.SHIPS:
                yield from self.shipped()
            case _:
                return

    def accepted(self) -> Iterator[PartnerAnswer]:
        """Carried out: cancelled and paid back, or shipped on the day that was asked for."""
        yield self._answered("accepted", ChangeAnswer.ACCEPTED, 1)
        is_another_item = self.decided.get("change") == "item"
        if self.decided["choice"] == "cancel" or is_another_item:
            yield from self._cancelled("exchanged" if is_another_item else "customer_decided")
            return
        if day := self.decided.get("requested_date"):
            moved = {"promised_ship_date": day, "changed_at": self._at(2), "cause": "customer_asked"}
            change = storefront.OrderPromiseChanged.model_validate({"order_id": self.order_id, **moved})
            yield PartnerAnswer("moved", change)
        yield from self.shipped()

    def shipped(self) -> Iterator[PartnerAnswer]:
        units = (LineQuantity(line_id="1", quantity=self.quantity),)
        shipped = storefront.OrderShipped(order_id=self.order_id, lines=units, shipped_at=self._at(3))
        delivered = storefront.OrderDelivered(order_id=self.order_id, lines=units, delivered_at=self._at(4))
        yield PartnerAnswer("shipped", shipped)
        yield PartnerAnswer("delivered", delivered)

    def _cancelled(self, cause: str) -> Iterator[PartnerAnswer]:
        cancelled = storefront.OrderCancelled(order_id=self.order_id, cancelled_at=self._at(2), cause=cause)
        yield PartnerAnswer("cancelled", cancelled)
        amount = self.price.model_copy(update={"amount": self.price.amount * self.quantity})
        refund = storefront.OrderRefunded(
            order_id=self.order_id,
            refund_id=f"wish-{self.order_id}",
            refunded_at=self._at(3),
            lines=(RefundedLine(line_id="1", quantity=self.quantity, amount=amount),),
            amount=amount,
            cause="order_cancelled",
        )
        yield PartnerAnswer("refunded", refund)

    def _answered(self, name: str, answer: ChangeAnswer, seconds: int) -> PartnerAnswer:
        reason = "already_packed" if answer == ChangeAnswer.DECLINED else None
        about = {"order_id": self.order_id, "request_id": self.decided["choice_id"], "reason": reason}
        answered = {**about, "customer_id": self.decided["customer_id"], "answered_at": self._at(seconds)}
        return PartnerAnswer(name, OrderChangeAnswered.model_validate({**answered, "answer": answer}))

    def _at(self, seconds: int) -> datetime:
        return self.now + timedelta(seconds=seconds)
