"""Notices to staff, sent once on the staff channel, with ids and causes and without personal data."""

from collections.abc import Iterable
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
    MAIL_BLOCKED = "mail_blocked"
    DEAD_LETTERS = "dead_letters"


@dataclass(frozen=True, slots=True)
class StaffNoticeCreated(Record):
    """One notice to staff. Its id is derived from the kind and the `cause`."""

    kind: StaffKind
    cause: tuple[str, ...]
    made_at: datetime
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def staff_notice_id(self) -> UUID:
        return derived_id("staff_notice", self.kind, *self.cause)


def staff_notices_for(payload: Payload, facts: Iterable[Fact], now: datetime) -> list[StaffNoticeCreated]:
    """Return the staff notices about this event and the facts decided on it."""
    notices: list[StaffNoticeCreated] = []
    if type(payload) is IssueReviewRequested:
        details = {"issue_id": str(payload.issue_id), "order_id": payload.order_id, "cause": payload.cause}
        details["due_at"] = payload.due_at.isoformat()
        cause = (str(payload.issue_id), payload.due_at.isoformat())
        notices.append(StaffNoticeCreated(StaffKind.REVIEW_REQUESTED, cause, now, details))
    for fact in facts:
        if type(fact) is Anomaly and fact.reason == "cancel_not_carried_out":
            cause = (fact.detail, now.date().isoformat())
            notices.append(StaffNoticeCreated(StaffKind.CANCEL_NOT_CARRIED_OUT, cause, now, {"order_id": fact.detail}))
    return notices
