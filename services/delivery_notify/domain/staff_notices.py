"""Notices to staff, sent once on the staff channel, with ids and causes and without personal data."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from libs.common.decisions.facts import Anomaly, Fact, Record
from libs.common.decisions.ids import derived_id
from libs.common.events.change_requests import CustomerDecisionOverdue, CustomerDecisionSettled, SettledAs
from libs.common.events.envelope import Payload
from libs.common.events.issues import IssueReviewRequested
from libs.common.events.notices import CustomerDecided


class StaffKind(StrEnum):
    REVIEW_REQUESTED = "review_requested"
    CANCEL_NOT_CARRIED_OUT = "cancel_not_carried_out"
    CHANGE_REQUESTED = "change_requested"
    CHANGE_UNANSWERED = "change_unanswered"
    CHANGE_OVERTAKEN = "change_overtaken"
    WINDOW_UNANSWERED = "window_unanswered"
    NOTICE_FAILED = "notice_failed"
    ADDRESS_SUPPRESSED = "address_suppressed"
    CUSTOMER_UNREACHABLE = "customer_unreachable"
    MAIL_BLOCKED = "mail_blocked"
    DEAD_LETTERS = "dead_letters"
    LATENESS_EXPECTED = "lateness_expected"


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
        notices += _about_request(fact, now)
        if type(fact) is Anomaly and fact.reason == "cancel_not_carried_out":
            cause = (fact.detail, now.date().isoformat())
            notices.append(StaffNoticeCreated(StaffKind.CANCEL_NOT_CARRIED_OUT, cause, now, {"order_id": fact.detail}))
    return notices


def _about_request(fact: Fact, now: datetime) -> list[StaffNoticeCreated]:
    """Return the staff notice about a request that was made, was not answered in time, or was overtaken."""
    match fact:
        case CustomerDecided(answer_by=datetime()):
            details = {"answer_by": fact.answer_by.isoformat() if fact.answer_by else ""}
            kind, cause = StaffKind.CHANGE_REQUESTED, "requested"
        case CustomerDecisionOverdue():
            details = {"reminder": str(fact.reminder), "answer_by": fact.answer_by.isoformat()}
            kind, cause = StaffKind.CHANGE_UNANSWERED, str(fact.reminder)
        case CustomerDecisionSettled(outcome=SettledAs.OVERTAKEN):
            details, kind, cause = {}, StaffKind.CHANGE_OVERTAKEN, "overtaken"
        case _:
            return []
    details |= {"order_id": fact.order_id, "requested": fact.change or fact.choice, "request_id": str(fact.choice_id)}
    return [StaffNoticeCreated(kind, (str(fact.choice_id), cause), now, details)]
