"""Messages of staff to customers. Their words are personal data (invariant 12); delivery_notify alone reads them."""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field, StringConstraints

from libs.common.events import topics
from libs.common.events.envelope import Payload
from libs.common.events.values import Identifier, UtcTime

MAX_REPLY_LENGTH = 2000
"""Characters of a reply; a text message of LINE, with 5,000 UTF-16 code units, holds it whole."""

ReplyText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_REPLY_LENGTH)]


class MessageReplied(Payload):
    """Staff answered the customer about an issue; a notice with their words follows."""

    TOPIC = topics.MESSAGES
    TYPE: ClassVar = "message.replied.v1"

    message_id: UUID
    """Identity of the reply; a repeated id is a duplicate."""
    issue_id: UUID
    """Issue."""
    order_id: Identifier
    """Order of the issue."""
    customer_id: Identifier
    """Recipient."""
    body: Annotated[ReplyText, Field(description="Words of the reply: plain text, lines end with a line feed.")]
    replied_at: UtcTime
    """Time of the reply."""
