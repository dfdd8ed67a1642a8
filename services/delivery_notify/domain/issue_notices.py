"""Notices of an issue thread."""

from datetime import timedelta
from functools import lru_cache
from typing import TypedDict
from uuid import UUID

from libs.common.decisions.fast_replace import replace
from libs.common.events.notices import NoticeKind, PromiseSubject
from libs.common.events.values import Reason
from services.delivery_notify.domain.context import ConversationDecision
from services.delivery_notify.domain.conversation import Conversation
from services.delivery_notify.domain.gifts import is_for_recipient
from services.delivery_notify.domain.issue_thread import IssueThread, ReplacementShipment
from services.delivery_notify.domain.notice_creation import create_notice
from services.delivery_notify.domain.notices import (
    NO_PROMISE_NEWS,
    NoticeCreated,
    NoticeFacts,
    NoticeLine,
    PromiseNews,
)
from services.delivery_notify.domain.promises import ref
from services.delivery_notify.domain.supersede import withdraw
from services.delivery_notify.policy.consent_law import law_of

REPLACEMENT_DATE_NOTICES = frozenset({NoticeKind.REPLACEMENT_PROMISED, NoticeKind.REPLACEMENT_DELAYED})
PENDING_ISSUE_NOTICES = REPLACEMENT_DATE_NOTICES | {
    NoticeKind.ISSUE_ACCEPTED,
    NoticeKind.REVIEW_STARTED,
    NoticeKind.DETAILS_REQUESTED,
    NoticeKind.CHOICE_REQUESTED,
    NoticeKind.COLLECTION_BOOKED,
}
"""Notices about something still to come."""

_PROMISING = REPLACEMENT_DATE_NOTICES | {
    NoticeKind.REPLACEMENT_SHIPPED,
    NoticeKind.REPLACEMENT_PART_SHIPPED,
    NoticeKind.REPLACEMENT_DELIVERY_CHANGED,
    NoticeKind.COLLECTION_BOOKED,
}


UNDATED = "date"
"""Plan of a notice about a replacement that has no ship date yet."""


class IssueFacts(TypedDict):
    """Facts of every notice about an issue."""

    lines: tuple[NoticeLine, ...]
    reason: Reason | None
    purchase_count: int | None


def issue_facts(conversation: Conversation, thread: IssueThread) -> IssueFacts:
    lines = tuple([NoticeLine(item.name, item.quantity) for item in thread.items])
    return {"lines": lines, "reason": thread.reason, "purchase_count": conversation.purchase_count}


# Cached: one event needs it several times.
@lru_cache(maxsize=256)
def issue_subject(issue_id: UUID) -> tuple[str, ...]:
    return (f"issue:{issue_id}",)


def withdraw_issue(decision: ConversationDecision, issue_id: UUID, kinds: frozenset[NoticeKind], cause: str) -> None:
    """Withdraw unsent notices of these kinds about this issue."""
    withdraw(decision, kinds, frozenset(issue_subject(issue_id)), cause)


def notify_issue(
    decision: ConversationDecision,
    thread: IssueThread,
    kind: NoticeKind,
    facts: NoticeFacts,
    *,
    cause: tuple[object, ...],
    wait: timedelta = timedelta(0),
) -> NoticeCreated | None:
    """Create a notice about an issue, see `create_notice`. Its day is a promise if it is about a shipment or a
    collection."""
    if is_for_recipient(decision.state, thread, kind, facts):
        facts = replace(facts, for_recipient=True)
    if kind is NoticeKind.ISSUE_ACCEPTED and thread.reason == Reason.CHANGED_MIND and not facts.for_recipient:
        facts = replace(facts, withdrawal_days=law_of(decision.state.market).withdrawal_days)
    promised_date = facts.day if kind in _PROMISING or facts.plan == "replacement" else None
    return create_notice(
        decision,
        kind,
        facts,
        cause=cause,
        subjects=issue_subject(thread.issue_id),
        issue_id=thread.issue_id,
        customer_id=thread.customer_id,
        promised_date=promised_date,
        wait=wait,
        news=_replacement_news(thread, kind, facts),
    )


def _replacement_news(thread: IssueThread, kind: NoticeKind, facts: NoticeFacts) -> PromiseNews:
    """The replacement date that this notice announces, and the one that it declares broken."""
    shipment = thread.replacement
    if shipment and facts.plan == UNDATED:
        return _undated_news(shipment)
    if shipment is None or not (kind in REPLACEMENT_DATE_NOTICES or facts.plan == "replacement"):
        return NO_PROMISE_NEWS
    subject, subject_id = PromiseSubject.REPLACEMENT, str(shipment.replacement_id)
    announced = ref(subject, subject_id, shipment.version, shipment.ship_date)
    late = kind is NoticeKind.REPLACEMENT_DELAYED
    broken = ref(subject, subject_id, shipment.superseded_version, facts.previous_day) if late else ()
    return PromiseNews(announced, broken)


def _undated_news(shipment: ReplacementShipment) -> PromiseNews:
    """The day by which the ship date follows, and the one before, on which it did not."""
    subject, subject_id, number = PromiseSubject.REPLACEMENT_DATE, str(shipment.replacement_id), shipment.date_number
    missed = ref(subject, subject_id, number - 1, shipment.missed_day) if number else ()
    return PromiseNews(ref(subject, subject_id, number, shipment.date_known_by), missed)
