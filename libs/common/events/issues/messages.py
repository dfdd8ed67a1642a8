"""Messages of customers about an issue. Their text stays in intake (invariant 12)."""

from enum import StrEnum
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from libs.common.events.issues.base import IssueEvent
from libs.common.events.values import UtcTime
from libs.common.events.values.open_enums import Open


class MessageChannel(StrEnum):
    """Way by which a customer wrote."""

    MAIL = "mail"


class IssueCustomerWrote(IssueEvent):
    """The customer wrote about the issue, mostly in answer to a notice."""

    TYPE: ClassVar = "issue.customer_wrote.v1"

    message_id: UUID
    """Identity of the message in intake."""
    channel: Annotated[MessageChannel, Open()]
    """Way by which it came."""
    photos: Annotated[int, Field(ge=0)] = 0
    """Photos that came with it and are evidence of the issue now."""
    wrote_at: UtcTime
    """Time at which it was received."""
