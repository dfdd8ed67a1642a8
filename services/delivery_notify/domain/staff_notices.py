"""What needs a human, as facts: told once on the staff's channel, with ids and causes and nothing personal."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from libs.common.decisions.facts import Anomaly, Fact, Record
from libs.common.decisions.ids import derived_id
from libs.common.events.envelope import Payload
from libs.common.events.issues import IssueReviewRequested


class StaffKind(StrEnum):
    REVIEW_REQUESTED = "review_requested"
    CANCEL_NOT_CARRIED_OUT = "cancel_not_carried_out"
    NOTICE_FAILED = "notice_failed"
    ADDRESS_SUPPRESSED = "address_suppressed"
    CUSTOMER_UNREACHABLE = "customer_unreachable"
    DEAD_LETTERS = "dead_letters"


@dataclass(frozen=True, slots=True)
class StaffNotice(Record):
    """One thing for staff. The same `cause` is the same notice, however often it is made."""

    kind: StaffKind
    cause: tuple[str, ...]
    made_at: datetime
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def staff_notice_id(self) -> UUID:
        return derived_id("staff_notice", self.kind, *self.cause)


def for_staff(payload: Payload, facts: list[Fact], now: datetime) -> list[Fact]:
    """What staff should hear of this event, and of what was decided on it."""
    told: list[Fact] = []
    if type(payload) is IssueReviewRequested:
        about = {"issue_id": str(payload.issue_id), "order_id": payload.order_id, "cause": payload.cause}
        about["due_at"] = payload.due_at.isoformat()
        cause = (str(payload.issue_id), payload.due_at.isoformat())
        told.append(StaffNotice(StaffKind.REVIEW_REQUESTED, cause, now, about))
    for fact in facts:
        if type(fact) is Anomaly and fact.reason == "cancel_not_carried_out":
            cause = (fact.detail, now.date().isoformat())
            told.append(StaffNotice(StaffKind.CANCEL_NOT_CARRIED_OUT, cause, now, {"order_id": fact.detail}))
    return told
