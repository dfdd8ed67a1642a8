"""Return policy: one version of the rules per reason, the limits and the risk checks, validated as a whole.

Data instead of code, because the shop changes it and validates it without a release.
"""

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from libs.common.events.values import Currency, Money, Reason
from services.returns.policy.movements import PolicyModel
from services.returns.policy.reason_rules import PositiveAmount, ReasonRule, ReportAttributes, ShortText

Count = Annotated[int, Field(ge=1, le=1000)]
Hour = Annotated[int, Field(ge=0, le=23)]


class PolicyLimits(PolicyModel):
    """Deadlines and retry limits; `policy.toml` documents each."""

    promise_open_days: Count
    promise_hour: Hour
    transit_days: Count
    warehouse_answer_hours: Count
    warehouse_max_orders: Count
    first_date_seconds: Annotated[int, Field(ge=0, le=3600)] = 10
    first_date_open_days: Count = 1
    first_date_hour: Hour = 12
    delivery_grace_days: Count
    choice_open_days: Count
    wait_if_restock_within_days: Count
    silent_wait_open_days: Count = 5
    collection_answer_hours: Count
    collection_max_attempts: Count
    receipt_days: Count
    inspection_open_days: Count
    refund_answer_hours: Count
    refund_retry_hours: Count
    refund_max_attempts: Count
    address_first_retry_seconds: Count
    address_max_attempts: Count
    review_open_days: Count
    review_hour: Hour
    review_max_reminders: Count


class CollectionPolicy(PolicyModel):
    """Rules of collections: swapping carriers, shared visits and reminders."""

    swap_carriers: tuple[ShortText, ...]
    share_visit_within_days: Annotated[int, Field(ge=0, le=30)]
    remind_after_days: Count
    remind_every_days: Count
    max_reminders: Count


class ExposureCap(PolicyModel):
    """Limit of a customer's exposure: `base` and a share of past purchases, at most `maximum`."""

    base: PositiveAmount
    share_of_purchases: Annotated[Decimal, Field(ge=0, le=10)]
    maximum: PositiveAmount

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.maximum < self.base:
            raise ValueError(f"maximum: {self.maximum} is less than base ({self.base}); write at least that")
        return self

    def limit_for(self, purchases: Decimal) -> Decimal:
        return min(self.maximum, self.base + self.share_of_purchases * max(purchases, Decimal(0)))


class RiskSignals(PolicyModel):
    """Thresholds that send a new case to review; none refuses it."""

    reports_within_days: Count
    max_reports: Count
    max_mismatches: Annotated[int, Field(ge=0, le=1000)]
    max_customers_per_address: Count


class ReturnPolicy(PolicyModel):
    """One version of the return policy."""

    version: Annotated[str, Field(min_length=1, max_length=40)]
    in_force_from: date
    limits: PolicyLimits
    collection: CollectionPolicy
    review_over: dict[Currency, PositiveAmount]
    exposure_caps: dict[Currency, ExposureCap]
    risk_signals: RiskSignals
    reasons: dict[Reason, ReasonRule]

    @model_validator(mode="before")
    @classmethod
    def _check_mapping(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            raise ValueError("policy: not a table; write a table of version, limits, reasons and so on")
        return given

    @model_validator(mode="after")
    def _check_completeness(self) -> Self:
        if missing := [reason for reason in Reason if reason not in self.reasons]:
            raise ValueError(f"reasons: {', '.join(missing)} missing; every reason needs a rule")
        if uncapped := sorted(set(self.review_over) - set(self.exposure_caps)):
            raise ValueError(f"exposure_caps: {', '.join(uncapped)} missing; every currency of review_over needs a cap")
        return self

    def rule(self, reason: Reason, report: ReportAttributes) -> ReasonRule:
        return self.reasons[reason].matching(report)

    def needs_review(self, value: Money) -> bool:
        """Return whether staff decide a case of this value before anything leaves."""
        limit = self.review_over.get(value.currency)
        return limit is None or value.amount > limit
