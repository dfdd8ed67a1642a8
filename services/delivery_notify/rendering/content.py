"""Input of the renderer."""

from datetime import datetime
from uuid import UUID

from libs.common.decisions.fast_dataclass import dataclass
from libs.common.events.notices import NoticeKind
from libs.common.events.values import Language
from services.delivery_notify.domain.notices import NoticeFacts


@dataclass(frozen=True, slots=True)
class NoticeContent:
    """Facts of one notice and its recipient."""

    kind: NoticeKind
    order_id: str
    recipient_name: str
    language: Language
    facts: NoticeFacts
    issue_id: UUID | None = None
    written_at: datetime | None = None
    last_purchased_item: str | None = None
    customer_id: str = ""
    purchase_count: int | None = None
    """Number of the order among the customer's orders, where the shop does not state it."""
