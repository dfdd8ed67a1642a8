"""A buyer hears that what they have may be faulty, before they notice: once per order and cluster."""

from datetime import datetime

from libs.common.events.notices import NoticeKind
from libs.common.events.products import BuyerWarned
from services.delivery_notify.domain.conversation import Conversation
from services.delivery_notify.domain.notices import NoticeFacts, Outcome, Thing, say
from services.delivery_notify.policy.notification_rules import Rules


def warned(conversation: Conversation, event: BuyerWarned, now: datetime, rules: Rules) -> Outcome:
    """`code` is why; the things are named as the order named them."""
    counts = {count.line_id: count.quantity for count in event.lines}
    lines = [line for line in conversation.lines if line.line_id in counts]
    things = tuple(Thing(line.name, counts[line.line_id], line_id=line.line_id) for line in lines)
    facts = NoticeFacts(things, code=event.cause, purchase_count=conversation.purchase_count)
    cause = (event.cluster_id,)
    about = tuple(f"warned:{line_id}" for line_id in sorted(counts))
    kind, customer = NoticeKind.BUYER_WARNED, event.customer_id
    return say(conversation, kind, facts, now, cause=cause, about=about, customer_id=customer)
