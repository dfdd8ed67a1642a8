"""Messages about to leave: one notice each, or several of one customer that a cap had kept back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from libs.common.decisions.ids import derived_id
from libs.common.events.notices import NoticeKind
from services.delivery_notify.channels.channel import Draft
from services.delivery_notify.domain.notices import NoticeFacts
from services.delivery_notify.domain.routing import Contact, Way
from services.delivery_notify.rendering.renderer import Letter, Renderer
from services.delivery_notify.store.notice_queue import Claimed, Kept, PutOff, Settled

ReadFacts = Callable[[str], NoticeFacts]


@dataclass(frozen=True, slots=True)
class Planned:
    """A notice and the way it takes."""

    notice: Claimed
    way: Way


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message: its notices, its way, and its name where it has several."""

    notices: tuple[Claimed, ...]
    way: Way
    together: UUID | None = None

    @property
    def contact(self) -> Contact:
        contact = self.notices[0].contact
        if contact is None:
            raise ValueError("a notice without a contact is never sent")
        return contact

    def draft(self, renderer: Renderer, read: ReadFacts, now: datetime) -> Draft:
        """Raises where a notice cannot be read, or a fact that its words need is missing."""
        contact = self.contact
        letters = [
            Letter(
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
        rendered = renderer.render(letters[0]) if len(letters) == 1 else renderer.render_together(letters)
        key = self.together or self.notices[0].notice_id
        return Draft(key, contact.name, self.way.address, contact.language, now, rendered)


@dataclass
class Outgoing:
    """What was decided about a claim, before anything leaves."""

    parcels: list[Parcel] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    suppressed: list[tuple[Claimed, Settled]] = field(default_factory=list)
    returned: list[PutOff] = field(default_factory=list)


def parcels(planned: Sequence[Planned]) -> list[Parcel]:
    """One parcel per notice; those that were kept back go together, per customer and way.

    A message that was named before goes again with all its parts, or not at all this time: a server that has it already
    would take a part for the whole.
    """
    found: list[Parcel] = []
    groups: dict[tuple[str, Way, UUID | None], list[Claimed]] = {}
    for one in planned:
        if one.notice.held:
            groups.setdefault((one.notice.customer_id, one.way, one.notice.together), []).append(one.notice)
        else:
            found.append(Parcel((one.notice,), one.way))
    for (customer, way, named), notices in groups.items():
        name = named
        if name is None and len(notices) > 1:
            name = derived_id("together", customer, *(each.notice_id for each in notices))
        found.append(Parcel(tuple(notices), way, name))
    return found


def is_whole(parcel: Parcel) -> bool:
    """Whether a message that was named before has all the parts it had."""
    parts = parcel.notices[0].parts
    return parts is None or parts == len(parcel.notices)
