"""State of a customer's request to cancel or change an order, open until it is answered or the goods have left."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from libs.common.events.notices import ChangeSubject, DecidedBy
from libs.common.events.values import Choice


class RequestStatus(StrEnum):
    OPEN = "open"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    OVERTAKEN = "overtaken"
    SUPERSEDED = "superseded"


@dataclass(frozen=True)
class ChangeRequest:
    """One request; its id is that of the question that it answers. `answer_by` is the next deadline while it is open.

    `is_promised`: the requested day was promised on the choice page. `reminders` counts missed deadlines; `answered_at`
    is the shop's time of the newest answer.
    """

    request_id: UUID
    choice: Choice
    change: ChangeSubject | None
    line_ids: tuple[str, ...]
    requested_at: datetime
    decided_by: DecidedBy
    answer_by: datetime | None = None
    day: date | None = None
    refund_by: date | None = None
    is_promised: bool = False
    status: RequestStatus = RequestStatus.OPEN
    reminders: int = 0
    answered_at: datetime | None = None

    @property
    def open(self) -> bool:
        return self.status is RequestStatus.OPEN

    @property
    def subject(self) -> str:
        """Return what was requested: `cancel`, or the subject of the change."""
        return self.change or self.choice

    @property
    def gives_up_lines(self) -> bool:
        """The customer no longer wants the ordered items."""
        return self.choice is Choice.CANCEL or self.change is ChangeSubject.ITEM
