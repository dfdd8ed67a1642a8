"""Contact and postcode of an order: what its customer proves at the order lookup, and how a person is reached; pure.

Of each part the newest statement by the shop's time counts. An order that is sent again with the same content changes
nothing. Fields of an erased customer are redacted before they arrive and are not taken.
"""

import hashlib
import hmac
import unicodedata
from collections.abc import Collection
from datetime import datetime
from enum import StrEnum

from libs.common.decisions.facts import Record
from libs.common.decisions.fast_dataclass import dataclass
from libs.common.decisions.fast_replace import replace
from libs.common.decisions.order_versions import personal_version_of
from libs.common.events.personal import REDACTED_ADDRESS, REDACTED_CONTACT
from libs.common.events.registry import AnyEvent
from libs.common.events.storefront import OrderChanged, OrderPlaced
from libs.common.events.values import Address, Contact, ContactChange, Reporter


class Proof(StrEnum):
    """Kind of knowledge by which a customer proves an order to be their own."""

    POSTCODE = "postcode"
    MAIL = "mail"


@dataclass(frozen=True, slots=True)
class Person:
    """Personal data of an order. `postcode` is the delivery address's; `is_gift`: the order has a receiver."""

    name: str = ""
    email: str = ""
    phone: str = ""
    postcode: str = ""
    recipient_email: str = ""
    is_gift: bool = False
    contact_at: datetime | None = None
    recipient_at: datetime | None = None
    ship_to_at: datetime | None = None
    placed_digest: str | None = None


@dataclass(frozen=True, slots=True)
class OrderContact:
    """The contact of one order. `order_number` is the number that its customer knows, where that is not the id."""

    order_id: str
    customer_id: str
    order_number: str | None = None
    placed_at: datetime | None = None
    person: Person = Person()


@dataclass(frozen=True, slots=True)
class ContactStated(Record):
    """An order event that may state a contact; `after` merges it with what is stored."""

    order_id: str
    event: AnyEvent

    def after(self, before: OrderContact | None) -> OrderContact | None:
        match self.event.data:
            case OrderPlaced() as placed:
                return with_placed(before, self.event, placed)
            case OrderChanged() as changed:
                return with_changed(before, changed)
        return before


def with_placed(before: OrderContact | None, event: AnyEvent, placed: OrderPlaced) -> OrderContact:
    """Return the contact after an order was placed, corrected or sent again."""
    known = before or OrderContact(placed.order_id, placed.customer_id)
    after = replace(
        known,
        order_number=placed.order_number or known.order_number,
        placed_at=min(known.placed_at or placed.placed_at, placed.placed_at),
    )
    if placed.ship_to == REDACTED_ADDRESS or placed.contact == REDACTED_CONTACT:
        return after
    version = personal_version_of(event, placed)
    at = version.changed_at(known.person.placed_digest)
    if at is None:
        return after
    person = _stated(replace(known.person, placed_digest=version.digest), at, placed.contact, placed.ship_to)
    return replace(after, person=_with_recipient(person, at, placed.recipient))


def with_changed(before: OrderContact | None, changed: OrderChanged) -> OrderContact | None:
    """Return the contact after a correction; None where nothing is known and nothing personal was stated.

    An order that is not known was placed before its correction; without a time it would never be deleted.
    """
    known = before or OrderContact(changed.order_id, changed.customer_id, placed_at=changed.changed_at)
    person = _stated(known.person, changed.changed_at, changed.contact, changed.ship_to)
    person = _with_recipient(person, changed.changed_at, changed.recipient)
    return before if person == known.person else replace(known, person=person)


def _stated(known: Person, at: datetime, contact: Contact | ContactChange | None, ship_to: Address | None) -> Person:
    person = known
    if contact and (known.contact_at is None or at >= known.contact_at):
        fields = {name: value for name in ("name", "email", "phone") if (value := getattr(contact, name))}
        if fields:
            person = replace(person, **fields, contact_at=at)
    if ship_to and (known.ship_to_at is None or at >= known.ship_to_at):
        person = replace(person, postcode=ship_to.postal_code, ship_to_at=at)
    return person


def _with_recipient(known: Person, at: datetime, recipient: Contact | ContactChange | None) -> Person:
    if recipient is None or (known.recipient_at is not None and at < known.recipient_at):
        return known
    return replace(known, is_gift=True, recipient_email=recipient.email or known.recipient_email, recipient_at=at)


def number_spellings(typed: str) -> tuple[str, ...]:
    """Return the order numbers that a customer may mean: as typed, and with or without the number sign of shops."""
    plain = "".join(unicodedata.normalize("NFKC", typed).split())[:128]
    bare = plain.lstrip("#")
    return tuple(dict.fromkeys(filter(None, (plain, bare, f"#{bare}" if bare else "", bare.upper()))))


def number_key(typed: str) -> str:
    """Return the one text for all spellings that look up the same orders, by which attempts are counted."""
    spellings = number_spellings(typed)
    return spellings[-1].lstrip("#").upper().casefold() if spellings else ""


def kind_of(typed: str) -> Proof:
    """Return the kind of proof that was typed into the one field for both."""
    return Proof.MAIL if "@" in unicodedata.normalize("NFKC", typed) else Proof.POSTCODE


def reader_of(contact: OrderContact, typed: str, accepted: Collection[Proof]) -> Reporter | None:
    """Return who the typed postcode or mail address proves to be there; None for nobody.

    All comparisons are made for every order, in constant time each. The postcode of a gift is known to its receiver,
    so it opens what the receiver may see.
    """
    person, kind = contact.person, kind_of(typed)
    is_customer = _same(_mail(typed), _mail(person.email)) and kind == Proof.MAIL
    is_recipient = _same(_mail(typed), _mail(person.recipient_email)) and kind == Proof.MAIL
    is_there = _same(_postcode(typed), _postcode(person.postcode)) and kind == Proof.POSTCODE
    if kind not in accepted:
        return None
    if is_customer or (is_there and not person.is_gift):
        return Reporter.CUSTOMER
    return Reporter.RECIPIENT if is_recipient or is_there else None


def _mail(text: str) -> str:
    return unicodedata.normalize("NFKC", text).strip().casefold()


def _postcode(text: str) -> str:
    return "".join(letter for letter in unicodedata.normalize("NFKC", text).casefold() if letter.isalnum())


def _same(typed: str, known: str) -> bool:
    """Compare digests, whose length says nothing about the texts; an unknown text equals none."""
    left, right = hashlib.sha256(typed.encode()).digest(), hashlib.sha256(known.encode()).digest()
    return hmac.compare_digest(left, right) and bool(known)
