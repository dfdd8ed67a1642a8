"""Messages about to leave: one notice each, or several of one customer that a cap had kept back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from libs.common.decisions.ids import derived_id
from libs.common.events.notices import NoticeKind
from services.delivery_notify.channels.channel import MessageDraft
from services.delivery_notify.domain.notices import NoticeFacts
from services.delivery_notify.domain.routing import Contact, Route
from services.delivery_notify.rendering.renderer import NoticeContent, Renderer
from services.delivery_notify.store.notice_queue import ClaimedNotice, Completed, Deferred, Rescheduled

ReadFacts = Callable[[str], NoticeFacts]


@dataclass(frozen=True, slots=True)
class RoutedNotice:
    """A notice and the way it takes."""

    notice: ClaimedNotice
    route: Route


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """One message: its notices, its way, and its name where it has several."""

    notices: tuple[ClaimedNotice, ...]
    route: Route
    group_id: UUID | None = None

    @property
    def contact(self) -> Contact:
        contact = self.notices[0].contact
        if contact is None:
            raise ValueError("a notice without a contact is never sent")
        return contact

    def draft(self, renderer: Renderer, read: ReadFacts, now: datetime) -> MessageDraft:
        """Raises where a notice cannot be read, or a fact that its words need is missing."""
        contact = self.contact
        letters = [
            NoticeContent(
                NoticeKind(one.kind),
                one.order_id,
                contact.name,
                contact.language,
                read(one.facts),
                one.issue_id,
                now,
                contact.last_purchased_item,
            )
            for one in self.notices
        ]
        rendered = renderer.render(letters[0]) if len(letters) == 1 else renderer.render_group(letters)
        key = self.group_id or self.notices[0].notice_id
        return MessageDraft(key, contact.name, self.route.address, contact.language, now, rendered)


@dataclass
class SendPlan:
    """What was decided about a claim, before anything leaves."""

    messages: list[OutgoingMessage] = field(default_factory=list)
    deferred: list[Deferred] = field(default_factory=list)
    suppressed: list[tuple[ClaimedNotice, Completed]] = field(default_factory=list)
    rescheduled: list[Rescheduled] = field(default_factory=list)


def group_into_messages(planned: Sequence[RoutedNotice]) -> list[OutgoingMessage]:
    """One parcel per notice; those that were kept back go together, per customer and way.

    A message that was named before goes again with all its parts, or not at all this time: a server that has it already
    would take a part for the whole.
    """
    found: list[OutgoingMessage] = []
    groups: dict[tuple[str, Route, UUID | None], list[ClaimedNotice]] = {}
    for one in planned:
        if one.notice.batched:
            groups.setdefault((one.notice.customer_id, one.route, one.notice.batch_id), []).append(one.notice)
        else:
            found.append(OutgoingMessage((one.notice,), one.route))
    for (customer, way, named), notices in groups.items():
        name = named
        if name is None and len(notices) > 1:
            name = derived_id("together", customer, *(each.notice_id for each in notices))
        found.append(OutgoingMessage(tuple(notices), way, name))
    return found


def is_complete(message: OutgoingMessage) -> bool:
    """Whether a message that was named before has all the parts it had."""
    parts = message.notices[0].batch_size
    return parts is None or parts == len(message.notices)
