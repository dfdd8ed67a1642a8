"""Replies of staff to a customer: kept beside the messages of the issue, and published to be sent.

The work of the messages that a reply answers ends with it. The name of the member of staff stays in intake: the message
is signed by the shop.
"""

from collections.abc import Collection
from uuid import UUID

from libs.common.decisions.ids import derived_id
from libs.common.events.messages import MessageReplied
from libs.common.runtime.service import ServiceTransaction
from services.intake.domain.projections.work_items import HANDLED, WorkKind, settled_subject
from services.intake.store import customer_messages
from services.intake.store import desk as desk_store
from services.intake.store.customer_messages import CustomerMessage, MessageContent


async def record_reply(
    tx: ServiceTransaction,
    issue_id: UUID,
    message_id: UUID,
    staff: str,
    text: str,
    answered: Collection[UUID] | None = None,
) -> bool:
    """Record and publish a reply once; returns False for an unknown issue.

    `answered` are the messages whose work ends; None: all that the issue has now, also those of undelivered replies.
    """
    about = await customer_messages.subject_of_issue(tx.conn, issue_id)
    if about.order_id is None or about.customer_id is None:
        return False
    message = CustomerMessage(message_id, about, tx.now, MessageContent("", "", text, text), staff=staff)
    if not await customer_messages.record(tx.conn, message):
        return True
    if answered is None:
        open_work = await desk_store.work_of_issue(tx.conn, issue_id)
        waiting = {item.about for item in open_work if item.kind == WorkKind.MESSAGE}
        # A mail is stored before the event that makes it work is read.
        waiting |= {str(each) for each in await customer_messages.ids_of_customer(tx.conn, issue_id)}
    else:
        waiting = {str(each) for each in answered}
    for each in sorted(waiting):
        await _end(tx, issue_id, each, staff)
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


async def _end(tx: ServiceTransaction, issue_id: UUID, message: str, staff: str) -> None:
    """End the work of a message, and record it: one whose event is read later, or again, does not come back."""
    subject = settled_subject(WorkKind.MESSAGE, message)
    await desk_store.end_work(tx.conn, issue_id, WorkKind.MESSAGE, message)
    action_id = derived_id("answered", issue_id, message)
    await desk_store.record_action(tx.conn, action_id, str(issue_id), staff, HANDLED, subject, "", tx.now)
