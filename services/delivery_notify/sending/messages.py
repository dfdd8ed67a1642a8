"""Outgoing messages: one notice each, or a group of deferred notices to one customer."""

from collections.abc import Callable, Sequence
from dataclasses import field
from datetime import datetime
from uuid import UUID

from libs.common.decisions.fast_dataclass import dataclass
from libs.common.decisions.ids import derived_id
from libs.common.events.notices import NoticeKind
from services.delivery_notify.channels.channel import MessageDraft
from services.delivery_notify.domain.notices import NoticeFacts
from services.delivery_notify.domain.routing import RecipientContact, Route
from services.delivery_notify.rendering.content import NoticeContent
from services.delivery_notify.rendering.renderer import Renderer
from services.delivery_notify.store.notice_outcomes import Completed, Deferred, Rescheduled
from services.delivery_notify.store.notice_queue import ClaimedNotice

ReadFacts = Callable[[str], NoticeFacts]


@dataclass(frozen=True, slots=True)
class RoutedNotice:
    notice: ClaimedNotice
    route: Route


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """Notices sent as one message on one route; `group_id` identifies a message of several."""

    notices: tuple[ClaimedNotice, ...]
    route: Route
    group_id: UUID | None = None

    @property
    def contact(self) -> RecipientContact:
        contact = self.notices[0].contact
        if contact is None:
            raise ValueError("contact: missing; a notice without a contact must be suppressed before sending")
        return contact

    def draft(self, renderer: Renderer, parse_facts: ReadFacts, now: datetime) -> MessageDraft:
        """Render the message. Raises if the facts are unreadable or lack a field of the template."""
        contact = self.contact
        contents = [_content(notice, contact, parse_facts(notice.facts), now) for notice in self.notices]
        rendered = renderer.render(contents[0]) if len(contents) == 1 else renderer.render_group(contents)
        key = self.group_id or self.notices[0].notice_id
        issues, orders = ({getattr(each, name) for each in self.notices} for name in ("issue_id", "order_id"))
        return MessageDraft(
            key,
            contact.name,
            self.route.address,
            contact.language,
            now,
            rendered,
            issues.pop() if len(issues) == 1 else None,
            orders.pop() if len(orders) == 1 else None,
        )


def _content(notice: ClaimedNotice, contact: RecipientContact, facts: NoticeFacts, now: datetime) -> NoticeContent:
    return NoticeContent(
        NoticeKind(notice.kind),
        notice.order_id,
        contact.name,
        contact.language,
        facts,
        notice.issue_id,
        now,
        contact.last_purchased_item,
        notice.customer_id,
        contact.purchase_count,
    )


@dataclass
class SendPlan:
    """Decisions on a claimed batch, made before anything is sent."""

    messages: list[OutgoingMessage] = field(default_factory=list)
    deferred: list[Deferred] = field(default_factory=list)
    suppressed: list[tuple[ClaimedNotice, Completed]] = field(default_factory=list)
    rescheduled: list[Rescheduled] = field(default_factory=list)
    leases: dict[UUID, datetime | None] = field(default_factory=dict)


def group_into_messages(routed: Sequence[RoutedNotice]) -> list[OutgoingMessage]:
    """Build one message per notice, and one per customer and route for held notices.

    A group that was sent before keeps its id and members: the provider deduplicates by the id and would drop the
    members that were added later.
    """
    messages: list[OutgoingMessage] = []
    groups: dict[tuple[str, Route, UUID | None], list[ClaimedNotice]] = {}
    for entry in routed:
        notice = entry.notice
        if notice.batched:
            groups.setdefault((notice.customer_id, entry.route, notice.batch_id), []).append(notice)
        else:
            messages.append(OutgoingMessage((notice,), entry.route))
    for (customer_id, route, known_id), notices in groups.items():
        new_id = derived_id("notice_group", customer_id, *(notice.notice_id for notice in notices))
        group_id = known_id or (new_id if len(notices) > 1 else None)
        messages.append(OutgoingMessage(tuple(notices), route, group_id))
    return messages


def is_complete(message: OutgoingMessage) -> bool:
    """Return true if a group that was sent before has all of its members."""
    parts = message.notices[0].notices_in_batch
    return parts is None or parts == len(message.notices)
