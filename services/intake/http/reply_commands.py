"""Replies of staff to a customer: kept beside the messages of the issue, and published to be sent.

A reply ends the work that the customer's messages made. The name of the member of staff stays in intake: the message is
signed by the shop.
"""

from uuid import UUID

from libs.common.decisions.ids import derived_id
from libs.common.events.messages import MessageReplied
from libs.common.runtime.service import ServiceTransaction
from services.intake.domain.projections.work_items import HANDLED, WorkKind, settled_subject
from services.intake.store import customer_messages
from services.intake.store import desk as desk_store
from services.intake.store.customer_messages import CustomerMessage, MessageContent


async def record_reply(tx: ServiceTransaction, issue_id: UUID, message_id: UUID, staff: str, text: str) -> bool:
    """Record and publish a reply once; returns False for an unknown issue."""
    about = await customer_messages.subject_of_issue(tx.conn, issue_id)
    if about.order_id is None or about.customer_id is None:
        return False
    message = CustomerMessage(message_id, about, tx.now, MessageContent("", "", text, text), staff=staff)
    if not await customer_messages.record(tx.conn, message):
        return True
    await _end_messages(tx, issue_id, message_id, staff)
    replied = MessageReplied(
        message_id=message_id,
        issue_id=issue_id,
        order_id=about.order_id,
        customer_id=about.customer_id,
        body=text,
        replied_at=tx.now,
    )
    await tx.write([replied])
    return True


async def _end_messages(tx: ServiceTransaction, issue_id: UUID, message_id: UUID, staff: str) -> None:
    """End the work of the customer's messages, and record it: a message that is read again does not come back."""
    for item in await desk_store.work_of_issue(tx.conn, issue_id):
        if item.kind != WorkKind.MESSAGE:
            continue
        await desk_store.end_work(tx.conn, issue_id, item.kind, item.about)
        action_id, subject = derived_id("reply", message_id, item.about), settled_subject(item.kind, item.about)
        await desk_store.record_action(tx.conn, action_id, str(issue_id), staff, HANDLED, subject, "", tx.now)
