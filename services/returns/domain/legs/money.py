"""What a case knows of the money leg: what was asked for, and what came of it. `money` moves it."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from services.returns.domain.line_quantities import Counts


class RefundStatus(StrEnum):
    REQUESTED = "requested"
    RETRYING = "retrying"
    FAILED = "failed"
    COMPLETED = "completed"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Refund:
    """One payment back. Asked for again under the same id until it is through or a human looks."""

    refund_id: UUID
    amount: Decimal
    status: RefundStatus
    attempts: int
    requested_at: datetime
    counts: Counts = field(default_factory=dict)
    completed_at: datetime | None = None
    due_at: datetime | None = None


@dataclass(frozen=True)
class MoneyLeg:
    """What goes back to the customer. `asked` are the units already paid for, so that none is paid twice.

    `instead` are units that are paid back although the others are replaced, because they could not be sent.
    """

    asked: Counts = field(default_factory=dict)
    instead: Counts = field(default_factory=dict)
    refunds: tuple[Refund, ...] = ()

    @property
    def due_at(self) -> datetime | None:
        if not self.refunds:
            return None
        return min((refund.due_at for refund in self.refunds if refund.due_at), default=None)
