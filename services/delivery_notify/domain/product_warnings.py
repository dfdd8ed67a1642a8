"""Warnings to buyers of a possibly faulty product, one per order and cluster."""

from libs.common.events.notices import NoticeKind
from libs.common.events.products import BuyerWarned
from services.delivery_notify.domain.context import ConversationDecision
from services.delivery_notify.domain.notice_creation import create_notice
from services.delivery_notify.domain.notices import NoticeFacts, NoticeLine


def on_buyer_warned(decision: ConversationDecision, event: BuyerWarned) -> None:
    """`code` is the cause of the warning; lines are named as in the order."""
    counts = {count.line_id: count.quantity for count in event.lines}
    lines = [line for line in decision.state.lines if line.line_id in counts]
    notice_lines = tuple(NoticeLine(line.name, counts[line.line_id], line_id=line.line_id) for line in lines)
    facts = NoticeFacts(notice_lines, code=event.cause, purchase_count=decision.state.purchase_count)
    create_notice(
        decision,
        NoticeKind.BUYER_WARNED,
        facts,
        cause=(event.cluster_id,),
        subjects=tuple(f"warned:{line_id}" for line_id in sorted(counts)),
        customer_id=event.customer_id,
    )
