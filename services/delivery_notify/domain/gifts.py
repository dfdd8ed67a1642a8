"""Gifts: which notices the receiver gets in place of the customer who ordered and paid.

The receiver gets messages about goods only, and only about issues: one about an order that has not arrived would
spoil the surprise. Money, points and choices (a refund is always among them) are the customer's. A receiver without a
mail address gets nothing, the customer then gets all notices.
"""

from dataclasses import replace
from datetime import datetime

from libs.common.events.notices import NoticeKind
from libs.common.events.values import Contact, ContactChange, RecipientNotices, Reporter
from services.delivery_notify.domain.context import ConversationDecision
from services.delivery_notify.domain.conversation import Conversation, GiftRecipient
from services.delivery_notify.domain.issue_thread import IssueThread
from services.delivery_notify.domain.notices import NoticeFacts

ABOUT_GOODS = frozenset(
    {
        NoticeKind.ISSUE_ACCEPTED,
        NoticeKind.ISSUE_REJECTED,
        NoticeKind.ISSUE_CANCELLED,
        NoticeKind.ISSUE_REOPENED,
        NoticeKind.ISSUE_RESOLVED,
        NoticeKind.REVIEW_STARTED,
        NoticeKind.DETAILS_REQUESTED,
        NoticeKind.REPLACEMENT_PROMISED,
        NoticeKind.REPLACEMENT_DELAYED,
        NoticeKind.REPLACEMENT_SHIPPED,
        NoticeKind.REPLACEMENT_PART_SHIPPED,
        NoticeKind.REPLACEMENT_DELIVERY_CHANGED,
        NoticeKind.COLLECTION_BOOKED,
        NoticeKind.COLLECTION_ATTEMPTED,
        NoticeKind.COLLECTION_REMINDED,
        NoticeKind.COLLECTION_WINDOW_DECLINED,
        NoticeKind.COLLECTION_WINDOW_PENDING,
        NoticeKind.ITEM_RECEIVED,
    }
)


def record_recipient(
    decision: ConversationDecision,
    recipient: Contact | ContactChange | None,
    notices: RecipientNotices | None,
    at: datetime,
) -> None:
    """Record whether the receiver can be written to, and about what; the newest choice by the shop's time counts."""
    known = decision.state.gift
    if recipient is None and (notices is None or known is None):
        return
    has_address = bool(recipient and recipient.email)
    if known is None:
        gift = GiftRecipient(notices or RecipientNotices.OWN_REPORTS, has_address, at)
    elif notices is None or at < known.stated_at:
        gift = replace(known, has_address=known.has_address or has_address)
    else:
        gift = GiftRecipient(notices, known.has_address or has_address, at)
    if gift != known:
        decision.change(gift=gift)


def is_for_recipient(conversation: Conversation, thread: IssueThread, kind: NoticeKind, facts: NoticeFacts) -> bool:
    """Return whether the receiver gets this notice about an issue, and not the customer."""
    gift = conversation.gift
    if gift is None or not gift.has_address or kind not in ABOUT_GOODS or facts.amount is not None:
        return False
    is_own = thread.reported_by is Reporter.RECIPIENT
    return gift.notices is RecipientNotices.ALL_REPORTS or (is_own and gift.notices is RecipientNotices.OWN_REPORTS)
