"""Notices and promises as facts of a decision, and the one way in which a notice is made.

A notice's id follows from the fact it tells (order, kind, promise versions or business ids), so that a fact gives at
most one notice, however often it arrives. Facts in a notice hold no name and no address: those are looked up when
the message is written.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TypeAlias
from uuid import UUID

from libs.common.decisions.facts import Fact, Ignored, Record
from libs.common.decisions.fast_replace import replace
from libs.common.decisions.ids import derived_id
from libs.common.events.notices import DecidedBy, NoticeKind, PromiseRef
from libs.common.events.values import Address, Choice, Reason, Remedy
from services.delivery_notify.domain.conversation import Conversation, Said
from services.delivery_notify.policy.consent_law import Terms

Outcome: TypeAlias = tuple[Conversation, list[Fact]]


@dataclass(frozen=True, slots=True)
class Thing:
    """A line of a notice: what, how many, and its dates and stage where the notice is about those.

    `arrival` is the promised day at the door, where there is one; `previous_arrival` the one it takes the place of.
    """

    name: str
    quantity: int
    ship_date: date | None = None
    previous_date: date | None = None
    stage: str | None = None
    stage_detail: str | None = None
    line_id: str | None = None
    previous_stage: str | None = None
    arrival: date | None = None
    previous_arrival: date | None = None


@dataclass(frozen=True)
class NoticeFacts:
    """All that a template may say. `day` is the definite date of the notice; what it means follows from the kind.

    `answer_by` is the moment up to which a link with choices works. `next_word` is the day of our next message. `terms`
    are what the law of the customer's market makes of a late delivery. With `received_on` the notice is one of
    acceptance of a prepaid order (Japan), alone or within a notice of delay: `amount` was received then. `points` can
    be spent from `usable_from` to the end of `usable_until`; `balance` is all there was to spend on the day `as_of`.
    """

    things: tuple[Thing, ...] = ()
    day: date | None = None
    previous_day: date | None = None
    next_word: date | None = None
    plan: str | None = None
    reason: Reason | None = None
    remedy: Remedy | None = None
    amount: Decimal | None = None
    currency: str | None = None
    from_hour: int | None = None
    to_hour: int | None = None
    carrier: str | None = None
    tracking_number: str | None = None
    code: str | None = None
    missing: tuple[str, ...] = ()
    choice_id: UUID | None = None
    options: tuple[Choice, ...] = ()
    default: Choice | None = None
    answer_by: datetime | None = None
    word: int = 1
    purchase_count: int | None = None
    terms: Terms | None = None
    received_on: date | None = None
    decided_by: DecidedBy | None = None
    refund_by: date | None = None
    points: int | None = None
    usable_from: date | None = None
    usable_until: date | None = None
    balance: int | None = None
    as_of: date | None = None


@dataclass(frozen=True)
class News:
    """What a notice changes in what the customer knows: promises it makes known, promises it says are broken."""

    tells: tuple[PromiseRef, ...] = ()
    breaks: tuple[PromiseRef, ...] = ()


NO_NEWS = News()


@dataclass(frozen=True, slots=True)
class NoticeMade(Record):
    """A notice to send, from `due_at` on. `promised_date` is the date it promises, if any; `gathered`: what is due to
    the same customer at the same time, and gathered as well, is one message with it."""

    notice_id: UUID
    order_id: str
    customer_id: str
    kind: NoticeKind
    facts: NoticeFacts
    made_at: datetime
    due_at: datetime
    issue_id: UUID | None = None
    promised_date: date | None = None
    traceparent: str | None = None
    news: News = NO_NEWS
    gathered: bool = False


@dataclass(frozen=True, slots=True)
class NoticesWithdrawn(Record):
    """Do not send these any more, if they have not left yet."""

    notice_ids: tuple[UUID, ...]
    cause: str


@dataclass(frozen=True, slots=True)
class LineLeftOut(Record):
    """Do not speak of this line in these notices any more, if they have not left yet."""

    notice_ids: tuple[UUID, ...]
    line_id: str


@dataclass(frozen=True, slots=True)
class PointsDecided(Record):
    """What this notice was held back for: let it speak of these points as well, or of none, and leave now."""

    notice_id: UUID
    points: int | None = None
    usable_from: date | None = None
    usable_until: date | None = None


@dataclass(frozen=True, slots=True)
class PromiseMade(Record):
    """A date promised for a line or a replacement, from now on; rows are only ever added."""

    order_id: str
    subject: str
    subject_id: str
    version: int
    ship_date: date
    source: str
    promised_at: datetime
    surface: str | None = None
    """Where the customer was told already, if it was not by a notice: at checkout, on the choice page."""


@dataclass(frozen=True, slots=True)
class AddressWished(Record):
    """The customer wants the goods sent elsewhere: kept beside the contact, for the storefront to ask for."""

    order_id: str
    choice_id: UUID
    address: Address


@dataclass(frozen=True, slots=True)
class ContactLearned(Record):
    """How to reach the customer of this order: the only personal data of this service. What is about no order goes to
    the contact of the order that was `placed_at` last."""

    order_id: str
    customer_id: str
    name: str
    email: str
    language: str
    phone: str | None = None
    last_purchased_item: str | None = None
    placed_at: datetime | None = None


def notice_id(order_id: str, kind: NoticeKind, *cause: object) -> UUID:
    return derived_id("notice", kind, order_id, *cause)


def say(
    conversation: Conversation,
    kind: NoticeKind,
    facts: NoticeFacts,
    now: datetime,
    *,
    cause: tuple[object, ...],
    about: tuple[str, ...],
    issue_id: UUID | None = None,
    customer_id: str | None = None,
    promised_date: date | None = None,
    wait: timedelta = timedelta(0),
    news: News = NO_NEWS,
) -> Outcome:
    """Make a notice, unless this fact was told before. `wait` keeps it back, so that newer news may overtake it."""
    new_id = notice_id(conversation.order_id, kind, *cause)
    customer = customer_id or conversation.customer_id
    if customer is None:
        return conversation, [Ignored("nobody_to_tell")]
    if any(said.notice_id == new_id for said in conversation.said):
        return conversation, [Ignored("already_said")]
    made = NoticeMade(
        new_id, conversation.order_id, customer, kind, facts, now, now + wait, issue_id, promised_date, news=news
    )
    return conversation.with_said(Said(new_id, kind, about, now, now + wait if wait else None)), [made]


def withdraw(conversation: Conversation, kinds: frozenset[NoticeKind], about: frozenset[str], cause: str) -> list[Fact]:
    """Take back what was said about nothing but these, as far as it has not left."""
    ids = tuple(s.notice_id for s in conversation.said if s.kind in kinds and s.about and about.issuperset(s.about))
    return [NoticesWithdrawn(ids, cause)] if ids else []


def leave_out(conversation: Conversation, kinds: frozenset[NoticeKind], lines: frozenset[str]) -> Outcome:
    """Where a notice is about these lines and others, let it speak of the others only, as far as it has not left."""
    facts: list[Fact] = []
    for line_id in sorted(lines):
        partly = [
            s for s in conversation.said if s.kind in kinds and line_id in s.about and not lines.issuperset(s.about)
        ]
        if partly:
            facts.append(LineLeftOut(tuple(said.notice_id for said in partly), line_id))
    said = tuple(_without(said, lines) if said.kind in kinds else said for said in conversation.said)
    return (replace(conversation, said=said) if facts else conversation), facts


def _without(said: Said, lines: frozenset[str]) -> Said:
    left = tuple(each for each in said.about if each not in lines)
    return replace(said, about=left) if left and left != said.about else said
