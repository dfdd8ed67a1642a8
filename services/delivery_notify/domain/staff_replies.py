"""Replies of staff to customers: the notice that brings their words.

A reply is sent in every state of its issue, also before the order is known and after the issue has ended. Its words are
kept neither in the conversation nor in the facts of the notice: an erasure deletes them by themselves. It goes to the
customer who ordered, as the desk shows before it is sent, also where the receiver of a gift reported the issue: intake
knows no other contact.
"""

from libs.common.events.messages import MessageReplied
from libs.common.events.notices import NoticeKind
from services.delivery_notify.domain.context import ConversationDecision
from services.delivery_notify.domain.issue_notices import issue_facts, notify_issue
from services.delivery_notify.domain.issue_thread import IssueThread
from services.delivery_notify.domain.notices import NoticeFacts, ReplyTextRecorded


def on_replied(decision: ConversationDecision, event: MessageReplied) -> None:
    """Create the notice. Words for another account than the order's are an anomaly, until staff send them again: no
    message of one customer may reach another."""
    conversation = decision.state
    if conversation.customer_id not in (None, event.customer_id):
        decision.anomaly("issue_of_another_customer", f"{conversation.order_id} {event.issue_id}")
        return
    thread = conversation.thread(event.issue_id) or IssueThread(event.issue_id, event.customer_id)
    facts = NoticeFacts(**issue_facts(conversation, thread))
    created = notify_issue(decision, thread, NoticeKind.STAFF_REPLY, facts, cause=(event.message_id,))
    if created:
        decision.emit(ReplyTextRecorded(created.notice_id, event.body))
