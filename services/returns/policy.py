"""What the shop does about each reason, as data: read from `policy.toml`, checked whole before anything runs.

Chosen over rules in code, because the shop changes them and must see at once what they say. A plan that would break an
invariant of the design (a collection before its replacement, a refund on receipt of what nobody fetches) is refused
here, so that no transition has to defend itself against it.
"""

import tomllib
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from libs.common.events.values import Currency, Fault, Money, Reason, Remedy

BUNDLED = Path(__file__).with_name("policy.toml")

Count = Annotated[int, Field(ge=1, le=1000)]
Hour = Annotated[int, Field(ge=0, le=23)]


class PolicyError(ValueError):
    """The policy is wrong; the message names each key and what would be right."""


class ShipOn(StrEnum):
    ACCEPTED = "accepted"
    RECEIVED = "received"
    NEVER = "never"


class CollectOn(StrEnum):
    ACCEPTED = "accepted"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    NEVER = "never"


class RefundOn(StrEnum):
    ACCEPTED = "accepted"
    RECEIVED = "received"
    NEVER = "never"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Movements(_Strict):
    """What moves under one remedy, and what each movement waits for."""

    ship_on: ShipOn
    collect_on: CollectOn
    refund_on: RefundOn
    inspect: bool

    @model_validator(mode="after")
    def _hold_together(self) -> Self:
        if self.ship_on is ShipOn.ACCEPTED and self.collect_on is CollectOn.ACCEPTED:
            raise ValueError("collect_on: accepted comes before the replacement ships; write shipped or delivered")
        if self.collect_on in (CollectOn.SHIPPED, CollectOn.DELIVERED) and self.ship_on is not ShipOn.ACCEPTED:
            raise ValueError(f"collect_on: {self.collect_on} waits for a replacement; write ship_on accepted")
        if self.collect_on is CollectOn.NEVER and (self.ship_on is ShipOn.RECEIVED or self.inspect):
            raise ValueError("collect_on: never brings nothing back to ship on or inspect")
        if self.collect_on is CollectOn.NEVER and self.refund_on is RefundOn.RECEIVED:
            raise ValueError("refund_on: received needs a collection; write collect_on accepted, or refund_on accepted")
        if self.ship_on is not ShipOn.NEVER and self.refund_on is not RefundOn.NEVER:
            raise ValueError("refund_on: a unit is replaced or refunded, not both; write never")
        if self.ship_on is ShipOn.NEVER and self.refund_on is RefundOn.NEVER:
            raise ValueError("ship_on: a remedy ships or refunds; with refund_on never write accepted or received")
        return self


class Rule(_Strict):
    """One reason: whose fault it is, which remedies a customer may wish for, and which one else."""

    fault: Fault
    default: Remedy
    remedies: dict[Remedy, Movements]

    @model_validator(mode="after")
    def _can_be_kept(self) -> Self:
        if self.default not in self.remedies:
            raise ValueError(f"default: {self.default} is not among remedies ({', '.join(self.remedies)})")
        if Remedy.REFUND not in self.remedies:
            raise ValueError("remedies: refund is missing; it is what is left when nothing can be sent")
        if self.remedies[Remedy.REFUND].refund_on is RefundOn.NEVER:
            raise ValueError("remedies.refund.refund_on: write accepted or received")
        return self

    def remedy(self, wish: Remedy | None) -> Remedy:
        """The customer's wish where it is allowed, else the default."""
        return wish if wish in self.remedies else self.default


class Terms(_Strict):
    """Spans and limits; what each means stands in `policy.toml`."""

    promise_open_days: Count
    promise_hour: Hour
    transit_days: Count
    warehouse_answer_hours: Count
    warehouse_max_asks: Count
    delivery_grace_days: Count
    choice_open_days: Count
    wait_if_restock_within_days: Count
    collection_answer_hours: Count
    collection_max_attempts: Count
    receipt_days: Count
    inspection_open_days: Count
    refund_answer_hours: Count
    refund_retry_hours: Count
    refund_max_attempts: Count
    address_first_look_seconds: Count
    address_max_tries: Count
    review_open_days: Count
    review_hour: Hour
    review_max_reminders: Count


class Policy(_Strict):
    version: Annotated[str, Field(min_length=1, max_length=40)]
    terms: Terms
    review_over: dict[Currency, Annotated[Decimal, Field(gt=0)]]
    reasons: dict[Reason, Rule]

    @model_validator(mode="after")
    def _answers_every_reason(self) -> Self:
        if missing := [reason for reason in Reason if reason not in self.reasons]:
            raise ValueError(f"reasons: {', '.join(missing)} missing; every reason needs a rule")
        return self

    def needs_a_human(self, value: Money) -> bool:
        """Whether a case of this value is decided by a human before anything leaves."""
        limit = self.review_over.get(value.currency)
        return limit is None or value.amount > limit


def read_policy(path: Path = BUNDLED) -> Policy:
    """The policy in that file. Raises `PolicyError`."""
    try:
        return parse_policy(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PolicyError(f"{path.name}: cannot be read ({error.strerror})") from None


def parse_policy(text: str) -> Policy:
    """The policy that this TOML says. Raises `PolicyError` with every wrong key."""
    try:
        return Policy.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"policy: not TOML: {error}") from None
    except ValidationError as error:
        faults = (_fault(fault["loc"], fault["msg"]) for fault in error.errors())
        raise PolicyError("policy is wrong:\n" + "\n".join(faults)) from None


def _fault(place: tuple[int | str, ...], message: str) -> str:
    where = ".".join(str(part) for part in place if part != "[key]")
    return f"  {where or 'policy'}: {message.removeprefix('Value error, ')}"
