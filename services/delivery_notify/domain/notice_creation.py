"""Creation of notices: every notice of this service is created here."""

from datetime import date, timedelta
from uuid import UUID

from libs.common.decisions.ids import derived_id
from libs.common.events.notices import NoticeKind
from services.delivery_notify.domain.context import ConversationDecision
from services.delivery_notify.domain.conversation import NoticeRecord
from services.delivery_notify.domain.notices import NO_PROMISE_NEWS, NoticeCreated, NoticeFacts, PromiseNews


def notice_id(order_id: str, kind: NoticeKind, *cause: object) -> UUID:
    return derived_id("notice", kind, order_id, *cause)


def create_notice(
    decision: ConversationDecision,
    kind: NoticeKind,
    facts: NoticeFacts,
    *,
    cause: tuple[object, ...],
    subjects: tuple[str, ...],
    issue_id: UUID | None = None,
    customer_id: str | None = None,
    promised_date: date | None = None,
    wait: timedelta = timedelta(0),
    news: PromiseNews = NO_PROMISE_NEWS,
) -> NoticeCreated | None:
    """Create a notice and return it; None if there is one for this cause or the customer is unknown.

    `wait` delays sending, so that a newer notice can supersede this one.
    """
    conversation, now = decision.state, decision.now
    new_id = notice_id(conversation.order_id, kind, *cause)
    customer = customer_id or conversation.customer_id
    if customer is None:
        decision.ignore("unknown_customer")
        return None
    if any(notice.notice_id == new_id for notice in conversation.notices):
        decision.ignore("duplicate_notice")
        return None
    created = NoticeCreated(
        new_id,
        conversation.order_id,
        customer,
        kind,
        facts,
        now,
        now + wait,
        issue_id,
        promised_date,
        promises=news,
    )
    decision.state = conversation.with_notice(NoticeRecord(new_id, kind, subjects, now, now + wait if wait else None))
    decision.emit(created)
    return created
