"""The payment provider of a fault run: payments in parts, twice, that come back, and chargebacks. Pure."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from libs.common.events import payment
from libs.common.events.values import Money
from tests.faults.answers import PartnerAnswer, PartnerAnswers

FAILED_SHARE, REFUSED_SHARE, HALVES_SHARE, TWICE_SHARE, REVERSED_SHARE = 0.1, 0.03, 0.2, 0.05, 0.08
UNNAMED_SHARE = 0.3
"""Share of refunds whose payments have no id of the provider."""


def to_refund(data: dict[str, Any], attempt: int, rng: random.Random, now: datetime) -> PartnerAnswers:
    """Completed, at once or in two parts; one in ten fails at the first attempt, a few for good."""
    return list(_Refund(data, rng, now).answers(attempt))


@dataclass(frozen=True, slots=True)
class _Refund:
    data: dict[str, Any]
    rng: random.Random
    now: datetime

    @property
    def ids(self) -> dict[str, Any]:
        return {"issue_id": self.data["issue_id"], "refund_id": self.data["refund_id"]}

    def answers(self, attempt: int) -> Iterator[PartnerAnswer]:
        chance, amount = self.rng.random(), Money.model_validate(self.data["amount"])
        if attempt == 1 and chance < FAILED_SHARE + REFUSED_SHARE:
            is_final = chance >= FAILED_SHARE
            cause = "account_closed" if is_final else "bank_timeout"
            failed = payment.RefundFailed(**self.ids, cause=cause, retriable=not is_final, failed_at=self.now)
            yield PartnerAnswer("failed", failed)
            return
        chance, half = self.rng.random(), _half(amount)
        if chance < HALVES_SHARE and half.amount > 0:
            rest = half.model_copy(update={"amount": amount.amount - half.amount})
            yield self._paid("1", half, 1)
            yield self._paid("2", rest, 2)
            return
        if chance < HALVES_SHARE + UNNAMED_SHARE:
            paid = payment.RefundCompleted(**self.ids, amount=amount, completed_at=self.now)
            yield PartnerAnswer("paid", paid)
            return
        yield self._paid("1", amount, 1)
        if chance > 1 - TWICE_SHARE:
            yield self._paid("twice", amount, 2)
        elif chance > 1 - TWICE_SHARE - REVERSED_SHARE:
            yield self._reversed(amount)

    def _paid(self, part: str, amount: Money, seconds: int) -> PartnerAnswer:
        completed = payment.RefundCompleted(
            **self.ids,
            amount=amount,
            transaction_id=f"T-{self.data['refund_id']}-{part}",
            completed_at=self.now + timedelta(seconds=seconds),
        )
        return PartnerAnswer(f"paid-{part}", completed)

    def _reversed(self, amount: Money) -> PartnerAnswer:
        came_back = payment.RefundReversed(
            **self.ids,
            amount=amount,
            transaction_id=f"R-{self.data['refund_id']}",
            cause="account_closed",
            reversed_at=self.now + timedelta(seconds=3),
        )
        return PartnerAnswer("reversed", came_back)


def _half(amount: Money) -> Money:
    return amount.model_copy(update={"amount": Decimal(int(amount.amount / 2))})


def chargeback(order_id: str, amount: Money, now: datetime) -> payment.PaymentChargedBack:
    """The customer's bank takes the price of an order back."""
    dispute = {"order_id": order_id, "transaction_id": f"CB-{order_id}", "amount": amount}
    return payment.PaymentChargedBack.model_validate({**dispute, "cause": "not_recognized", "charged_back_at": now})


def chargeback_won(order_id: str, amount: Money, now: datetime) -> payment.ChargebackReversed:
    dispute = {"order_id": order_id, "transaction_id": f"CB-{order_id}", "amount": amount}
    return payment.ChargebackReversed.model_validate({**dispute, "reversed_at": now + timedelta(seconds=5)})
