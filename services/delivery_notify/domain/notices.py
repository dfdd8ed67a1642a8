"""Notices, promises and contacts as facts of a decision.

The id of a notice is derived from its cause (order, kind, promise versions or business ids), so each cause gives at
most one notice, however often its event arrives. The facts of a notice hold no name and no address: these are looked up
when the message is rendered.
"""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from libs.common.decisions.facts import Record
from libs.common.decisions.fast_dataclass import dataclass
from libs.common.decisions.order_versions import PlacedVersion
from libs.common.events.loyalty import Title
from libs.common.events.notices import DecidedBy, NoticeKind, PromiseRef
from libs.common.events.values import Address, Choice, Contact, ContactChange, Reason, Remedy
from services.delivery_notify.policy.consent_law import DelayTerms


@dataclass(frozen=True, slots=True)
class NoticeLine:
    """One line of a notice, with its promised dates and preorder stage. `previous_` fields are the replaced values."""

    name: str
    quantity: int
    ship_date: date | None = None
    previous_ship_date: date | None = None
    stage: str | None = None
    stage_detail: str | None = None
    line_id: str | None = None
    previous_stage: str | None = None
    delivery_date: date | None = None
    previous_delivery_date: date | None = None


@dataclass(frozen=True)
class NoticeFacts:
    """Facts available to the templates. `day` is the definite date of the notice; its meaning depends on the kind.

    `answer_by` is when the link to a choice expires, `alternatives` names the items that can be sent instead,
    `next_update_by` is the day of the next message. `terms` follow from
    the law of the customer's market. With `received_on` the notice is also one of acceptance of a prepaid order
    (Japan); `amount` was received then. `remaining` is the part of a
    refund that is still to be paid. `ships_on` is the ship date after the answer to a request. `points` can be spent
    from `usable_from` to the end of `usable_until`; `balance` is the spendable total on the day `as_of`.
    `titles` are the names of `tier`, `perks` and `campaigns`, per language.
    `reply` holds the words of staff while a notice is rendered; it is stored apart (`ReplyTextRecorded`).
    `for_recipient`: the receiver of a gift gets this notice; `for_former`: the contact as it was before a change.
    """

    lines: tuple[NoticeLine, ...] = ()
    day: date | None = None
    previous_day: date | None = None
    next_update_by: date | None = None
    plan: str | None = None
    reason: Reason | None = None
    remedy: Remedy | None = None
    amount: Decimal | None = None
    currency: str | None = None
    remaining: Decimal | None = None
    from_hour: int | None = None
    to_hour: int | None = None
    carrier: str | None = None
    tracking_number: str | None = None
    code: str | None = None
    missing: tuple[str, ...] = ()
    choice_id: UUID | None = None
    options: tuple[Choice, ...] = ()
    default: Choice | None = None
    alternatives: tuple[str, ...] = ()
    answer_by: datetime | None = None
    update_number: int = 1
    purchase_count: int | None = None
    terms: DelayTerms | None = None
    received_on: date | None = None
    decided_by: DecidedBy | None = None
    refund_by: date | None = None
    points: int | None = None
    usable_from: date | None = None
    usable_until: date | None = None
    balance: int | None = None
    as_of: date | None = None
    ships_on: date | None = None
    for_recipient: bool = False
    for_former: bool = False
    tier: str | None = None
    perks: tuple[str, ...] = ()
    campaigns: tuple[str, ...] = ()
    titles: tuple[Title, ...] = ()
    reply: str = ""
    withdrawal_days: int | None = None
    """Calendar days of refund and return after a withdrawal from the contract, where the law grants that right."""


@dataclass(frozen=True)
class PromiseNews:
    """Promises that a notice announces, and those that it declares broken (`supersedes`), as in `notice.sent`."""

    announces: tuple[PromiseRef, ...] = ()
    supersedes: tuple[PromiseRef, ...] = ()


NO_PROMISE_NEWS = PromiseNews()


@dataclass(frozen=True, slots=True)
class NoticeCreated(Record):
    """A notice to send from `due_at` on. `promised_date` is the date it promises, if any. `batched` notices of one
    customer that are due at the same time are sent as one message."""

    notice_id: UUID
    order_id: str
    customer_id: str
    kind: NoticeKind
    facts: NoticeFacts
    made_at: datetime
    due_at: datetime
    issue_id: UUID | None = None
    promised_date: date | None = None
    trace: str | None = None
    promises: PromiseNews = NO_PROMISE_NEWS
    batched: bool = False


@dataclass(frozen=True, slots=True)
class ReplyTextRecorded(Record):
    """Words of staff that the notice brings. Personal data, stored apart from its facts."""

    notice_id: UUID
    text: str


@dataclass(frozen=True, slots=True)
class NoticesWithdrawn(Record):
    """Withdrawal of these notices, as far as they are unsent."""

    notice_ids: tuple[UUID, ...]
    cause: str


@dataclass(frozen=True, slots=True)
class LineExcluded(Record):
    """Removal of this line from these notices, as far as they are unsent."""

    notice_ids: tuple[UUID, ...]
    line_id: str


@dataclass(frozen=True, slots=True)
class PointsDecided(Record):
    """Decision for which a notice was held back: add these points (or none) to it and send it now."""

    notice_id: UUID
    points: int | None = None
    usable_from: date | None = None
    usable_until: date | None = None


@dataclass(frozen=True, slots=True)
class PromiseMade(Record):
    """Row of the promise ledger: a date promised for a line or a replacement."""

    order_id: str
    subject: str
    subject_id: str
    version: int
    day: date
    source: str
    promised_at: datetime
    surface: str | None = None
    """Surface other than a notice that announced the date: checkout, the choice page."""


@dataclass(frozen=True, slots=True)
class AddressRequested(Record):
    """Delivery address that the customer requested, stored with the contact; the storefront reads it."""

    order_id: str
    choice_id: UUID
    address: Address


@dataclass(frozen=True, slots=True)
class ContactRecorded(Record):
    """Contact of an order's customer as one event states it. Personal data.

    `version` is that of an `order.placed`; without it the event is a correction as of `stated_at`. A notice about no
    order goes to the contact of the order that was `placed_at` last. `ship_to` is the digest of the delivery address,
    `notice_at` the present time as long as goods are to be sent: a changed contact then gets a notice. `is_announced`:
    another notice announces the new delivery address.
    """

    order_id: str
    customer_id: str
    contact: Contact | ContactChange
    recipient: Contact | ContactChange | None = None
    last_purchased_item: str | None = None
    placed_at: datetime | None = None
    version: PlacedVersion | None = None
    stated_at: datetime | None = None
    ship_to: str | None = None
    notice_at: datetime | None = None
    is_announced: bool = False
    trace: str | None = None
