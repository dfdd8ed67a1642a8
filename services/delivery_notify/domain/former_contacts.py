"""Notice to the former contact of an order whose delivery address or mail address changed before everything shipped.

The change may be a thief's, who would otherwise get every later message: the notice goes to the contact as it was. It
does not contain the new address. Statements arrive in any order: of two, the older one by the shop's time is what was
left behind. Spelling is compared away: width, case, blanks, separators and the words of Japanese block numbers.
"""

import hashlib
import re
import unicodedata
from datetime import datetime

from libs.common.decisions.fast_dataclass import dataclass
from libs.common.events.notices import NoticeKind
from libs.common.events.values import Address
from services.delivery_notify.domain.conversation import Conversation
from services.delivery_notify.domain.notice_creation import notice_id
from services.delivery_notify.domain.notices import ContactRecorded, NoticeCreated, NoticeFacts

EMAIL, ADDRESS, BOTH = "email", "address", "both"
"""Values of `plan`: what was changed."""

_BLOCK_WORDS = re.compile(r"(?<=\d)(丁目|番地の?|番|号)")
_BETWEEN_NUMBERS = re.compile(r"(?<=\d)[\W_ー]+(?=\d)")
_SEPARATORS = re.compile(r"[^\w-]|[_ー]|(?<!\d)-|-(?!\d)")


@dataclass(frozen=True, slots=True)
class ContactState:
    """Contact and digest of the delivery address, as stored or as one event states them. Personal data."""

    name: str | None = None
    email: str | None = None
    language: str | None = None
    phone: str | None = None
    ship_to: str | None = None

    @property
    def is_reachable(self) -> bool:
        return bool(self.email or self.phone)


@dataclass(frozen=True, slots=True)
class Move:
    """Change of a contact: the one that was left behind, and what changed."""

    former: ContactState
    plan: str


def address_digest(address: Address) -> str:
    """Return a digest that is equal for all spellings of an address; telephone numbers are no part of it."""
    where = (address.region, address.city, address.street, address.building, address.name)
    numbered = _BETWEEN_NUMBERS.sub("-", _BLOCK_WORDS.sub("-", _plain(" ".join(part for part in where if part))))
    code = re.sub(r"[\W_]", "", _plain(address.postal_code))
    compared = f"{address.country} {code} {_SEPARATORS.sub('', numbered)}"
    return hashlib.sha256(compared.encode()).hexdigest()


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def awaits_goods(conversation: Conversation) -> bool:
    """Return whether something of the order may still be sent: a line, or the remedy of an open issue."""
    if not conversation.placed or any(line.open for line in conversation.lines):
        return True
    return any(thread.closed_by is None for thread in conversation.threads)


def move_of(
    before: ContactState, stated: ContactState, after: ContactState, *, address_was_unknown: bool
) -> Move | None:
    """Return what this statement left behind, or was left behind as; None where nothing changed but spelling.

    `address_was_unknown`: the order was recorded before addresses were compared, so that any address is a change.
    """
    left = next((old for old in (before, stated) if _is_other_contact(old, after)), None)
    has_moved = bool(stated.ship_to) and (
        address_was_unknown if before.ship_to is None else before.ship_to != stated.ship_to
    )
    if left is None and not has_moved:
        return None
    former = left or (before if before.is_reachable else stated)
    return Move(former, BOTH if left and has_moved else EMAIL if left else ADDRESS)


def _is_other_contact(old: ContactState, present: ContactState) -> bool:
    """Return whether messages no longer reach the old address: that of mails, or without one the telephone."""
    if old.email:
        return bool(present.email) and old.email.strip().casefold() != (present.email or "").strip().casefold()
    return bool(old.phone and present.phone) and old.phone != present.phone


def former_contact_notice(
    recorded: ContactRecorded, move: Move, customer_id: str, at: datetime
) -> NoticeCreated | None:
    """Return the notice about this statement, whose shop's time is `at`; None where none is due."""
    plan = move.plan
    if recorded.is_announced and plan != EMAIL:
        plan = EMAIL if plan == BOTH else ""
    if recorded.notice_at is None or not plan:
        return None
    now = recorded.notice_at
    facts = NoticeFacts(plan=plan, for_former=move.former.is_reachable)
    new_id = notice_id(recorded.order_id, NoticeKind.CONTACT_CHANGED, at)
    return NoticeCreated(
        new_id, recorded.order_id, customer_id, NoticeKind.CONTACT_CHANGED, facts, now, now, trace=recorded.trace
    )
