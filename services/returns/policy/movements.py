"""Movements of a remedy: the trigger of each leg, checked against the invariants.

A plan that would break an invariant (a collection before its replacement, a refund on receipt without a return) is
refused here, so that no handler has to check for it.
"""

from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator


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


class PolicyModel(BaseModel):
    """Base of the policy's tables: immutable, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Movements(PolicyModel):
    """Triggers of the legs under one remedy."""

    ship_on: ShipOn
    collect_on: CollectOn
    refund_on: RefundOn
    inspect: bool

    @model_validator(mode="after")
    def _check_invariants(self) -> Self:
        if self.ship_on is ShipOn.ACCEPTED and self.collect_on is CollectOn.ACCEPTED:
            raise ValueError("collect_on: accepted comes before the replacement ships; write shipped or delivered")
        if self.collect_on in (CollectOn.SHIPPED, CollectOn.DELIVERED) and self.ship_on is not ShipOn.ACCEPTED:
            raise ValueError(f"collect_on: {self.collect_on} needs a replacement; write ship_on accepted")
        if self.collect_on is CollectOn.NEVER and (self.ship_on is ShipOn.RECEIVED or self.inspect):
            raise ValueError("collect_on: never returns nothing to ship on or inspect; write accepted")
        if self.collect_on is CollectOn.NEVER and self.refund_on is RefundOn.RECEIVED:
            raise ValueError("refund_on: received needs a collection; write collect_on accepted, or refund_on accepted")
        if self.ship_on is not ShipOn.NEVER and self.refund_on is not RefundOn.NEVER:
            raise ValueError("refund_on: a unit is replaced or refunded, not both; write never")
        if self.ship_on is ShipOn.NEVER and self.refund_on is RefundOn.NEVER:
            raise ValueError("ship_on: a remedy ships or refunds; with refund_on never write accepted or received")
        return self
