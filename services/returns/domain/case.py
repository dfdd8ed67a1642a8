"""A case: one accepted issue on its way to being put right.

Three legs, each with its own status and its own counted units: **outbound** (the replacement), **inbound** (what comes
back) and **money** (the refund), in `outbound_leg`, `inbound_leg` and `money_leg`. The headline is derived from them,
never stored as a second truth, because one status field for two movements is where such systems go wrong. Each leg
carries the moment at which it must be looked at again; the timers in the database are derived from these, so that state
and timers cannot drift apart.

The plan is copied into the case when it is made, with the version of the policy it came from: a policy that changes
later does not change what was begun.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from libs.common.events.values import Choice, Fault, IssueLine, Money, Reason, Remedy, Variant
from services.returns.domain.legs.inbound import Inbound
from services.returns.domain.legs.money import MoneyLeg
from services.returns.domain.legs.outbound import GONE, WAITED_FOR, Outbound
from services.returns.domain.line_quantities import Counts, added, counted, shared
from services.returns.domain.review_causes import Review, ReviewCause
from services.returns.policy.policy import CollectOn, Movements, RefundOn, ShipOn, Subject

NOTHING = Decimal(0)


@dataclass(frozen=True)
class Plan:
    remedy: Remedy
    ship_on: ShipOn
    collect_on: CollectOn
    refund_on: RefundOn
    inspect: bool

    @classmethod
    def of(cls, remedy: Remedy, moves: Movements) -> "Plan":
        return cls(remedy, moves.ship_on, moves.collect_on, moves.refund_on, moves.inspect)

    @property
    def is_at_risk(self) -> bool:
        """Whether value leaves before what it replaces is back."""
        first = self.ship_on is ShipOn.ACCEPTED or self.refund_on is RefundOn.ACCEPTED
        return first and self.collect_on is not CollectOn.NEVER


@dataclass(frozen=True)
class Question:
    """What the customer was asked. They heard `due_at`; at `wake_at` we ask why nobody answered, even by default."""

    choice_id: UUID
    options: tuple[Choice, ...]
    default: Choice
    restock_date: date | None
    due_at: datetime
    wake_at: datetime
    variants: tuple[Variant, ...] = ()


@dataclass(frozen=True, slots=True)
class Short:
    """Pieces that could not be sent with the others: ordered anew for `ship_date`, once the others have left."""

    counts: Counts
    ship_date: date | None = None
    variant: Variant | None = None
    is_decided: bool = False


# Made once: what is left out of a document because it is as usual is compared with these, and read as these. Given by a
# factory all the same, for a plain default pydantic would copy deeply each time.
NO_OUTBOUND, NO_INBOUND, NO_MONEY = Outbound(), Inbound(), MoneyLeg()


@dataclass(frozen=True)
class Case:
    issue_id: UUID
    order_id: str
    customer_id: str
    reason: Reason
    fault: Fault
    lines: tuple[IssueLine, ...]
    policy_version: str
    plan: Plan
    accepted_at: datetime
    market: str = "JP"
    requested_remedy: Remedy | None = None
    outbound: Outbound = field(default_factory=lambda: NO_OUTBOUND)
    formers: tuple[Outbound, ...] = ()
    inbound: Inbound = field(default_factory=lambda: NO_INBOUND)
    money: MoneyLeg = field(default_factory=lambda: NO_MONEY)
    short: Short | None = None
    parcel_found: bool = False
    question: Question | None = None
    questions: int = 0
    reviews: tuple[Review, ...] = ()
    address_tries: int = 0
    address_due_at: datetime | None = None
    resolution: int = 0
    resolved_at: datetime | None = None
    cancelled_at: datetime | None = None

    @property
    def is_closed(self) -> bool:
        return self.resolved_at is not None or self.cancelled_at is not None

    @property
    def reported(self) -> Counts:
        return counted(self.lines)

    @property
    def currency(self) -> str:
        return self.lines[0].unit_price.currency

    @property
    def value(self) -> Money:
        """What the reported units had cost."""
        return Money(amount=self.worth(self.reported), currency=self.currency)

    @property
    def subject(self) -> Subject:
        """What the policy looks at to find the rule."""
        return Subject(self.value, self.market, {line.product_group for line in self.lines})

    @property
    def sent(self) -> Counts:
        """What is with the customer or on its way there, or was asked of the warehouse to be."""
        counts: Counts = {}
        for leg in (*self.formers, self.outbound):
            if leg.status in WAITED_FOR:
                counts = added(counts, leg.ordered)
            elif leg.status in GONE:
                counts = added(counts, leg.shipped)
        return shared(counts, self.reported) if counts else counts

    @property
    def arrived(self) -> Counts:
        """What of the reported pieces has been sent anew and is with the customer."""
        counts: Counts = {}
        for leg in (*self.formers, self.outbound):
            counts = added(counts, leg.delivered)
        return shared(counts, self.reported)

    def worth(self, counts: Mapping[str, int]) -> Decimal:
        if not counts:
            return NOTHING
        prices = {line.line_id: line.unit_price.amount for line in self.lines}
        return sum((prices[line_id] * count for line_id, count in counts.items()), NOTHING)

    def in_review(self, *causes: ReviewCause) -> bool:
        return bool(self.reviews) and any(review.cause in causes for review in self.reviews)

    def timers(self) -> dict[str, datetime]:
        """Every moment at which this case must be looked at again."""
        found: dict[str, datetime] = {}
        if self.address_due_at:
            found["address"] = self.address_due_at
        if self.outbound.due_at:
            found["outbound"] = self.outbound.due_at
        if self.inbound.due_at:
            found["inbound"] = self.inbound.due_at
        if self.inbound.remind_at:
            found["door"] = self.inbound.remind_at
        if money := self.money.due_at:
            found["money"] = money
        if self.question:
            found["choice"] = self.question.wake_at
        if self.reviews and (reviews := [review.due_at for review in self.reviews if review.due_at]):
            found["review"] = min(reviews)
        return found


def lines_of(case: Case, counts: Counts) -> tuple[IssueLine, ...]:
    """The reported lines with these quantities."""
    if counts == case.reported:
        return case.lines
    left, lines = dict(counts), []
    for line in case.lines:
        take = min(line.quantity, left.get(line.line_id, 0))
        if take > 0:
            left[line.line_id] -= take
            lines.append(line.model_copy(update={"quantity": take}))
    return tuple(lines)
