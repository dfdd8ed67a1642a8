"""State of the money leg: the units to be refunded and the refund payments."""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from libs.common.decisions.fast_dataclass import dataclass
from services.returns.domain.state.line_quantities import UnitCounts


class RefundStatus(StrEnum):
    REQUESTED = "requested"
    RETRYING = "retrying"
    FAILED = "failed"
    PARTLY_PAID = "partly_paid"
    COMPLETED = "completed"
    STOPPED = "stopped"


@dataclass(frozen=True)
class RefundPayment:
    """One refund; retries keep its id, so that the provider can deduplicate them.

    `line_amounts` and `shipping` add up to `amount`. `payments` are the provider's payments by transaction, `reversals`
    what came back of them.
    """

    refund_id: UUID
    amount: Decimal
    status: RefundStatus
    attempts: int
    requested_at: datetime
    counts: UnitCounts = field(default_factory=dict)
    line_amounts: Mapping[str, Decimal] = field(default_factory=dict)
    shipping: Decimal = Decimal(0)
    payments: Mapping[str, Decimal] = field(default_factory=dict)
    reversals: Mapping[str, Decimal] = field(default_factory=dict)
    completed_at: datetime | None = None
    due_at: datetime | None = None

    @property
    def paid(self) -> Decimal:
        """Return the money that the provider paid, before reversals."""
        return sum(self.payments.values(), Decimal(0))


@dataclass(frozen=True)
class MoneyLeg:
    """Refunds of a case. `requested_units` are the units already paid for, so that none is paid twice.

    `refund_instead` are units that are refunded although others are replaced, because they could not ship.
    """

    requested_units: UnitCounts = field(default_factory=dict)
    refund_instead: UnitCounts = field(default_factory=dict)
    refunds: tuple[RefundPayment, ...] = ()

    @property
    def due_at(self) -> datetime | None:
        if not self.refunds:
            return None
        return min((refund.due_at for refund in self.refunds if refund.due_at), default=None)
