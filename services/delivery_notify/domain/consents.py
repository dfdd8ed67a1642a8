"""Consents to advertising: recorded as evidence, withdrawn by a link.

The Act on Regulation of Transmission of Specified Electronic Mail (特定電子メールの送信の適正化等に関する法律), article
3, requires consent and a record of it. Statements are append-only rows; of each purpose and channel the newest counts.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar

from libs.common.decisions.facts import Fact, Facts, Ignored, Record
from libs.common.decisions.fast_dataclass import dataclass
from libs.common.events.customers import (
    ConsentChannel,
    ConsentPurpose,
    CustomerConsentChanged,
    CustomerConsentRecorded,
    CustomerUnsubscribed,
)
from libs.common.events.envelope import Payload
from libs.common.events.registry import AnyEvent

UNSUBSCRIBED = "unsubscribe_link"
"""Source of a withdrawal by the link in a message."""
REPEATED = timedelta(minutes=10)
"""Time for which a repeated withdrawal by the link adds no row: who has the link could add them without limit.

No longer: a consent stated after the first withdrawal may arrive late, and the repeated one must count over it.
"""


class Unsubscribe(Payload):
    """Command of the unsubscribe page: a customer withdraws consent on every channel. It never leaves the service."""

    TYPE: ClassVar = "customer.unsubscribe.v1"

    customer_id: str
    purpose: ConsentPurpose


class RecordConsent(CustomerConsentChanged):
    """Command of the HTTP route: a statement that is on no topic yet. It never leaves the service."""

    TYPE: ClassVar = "customer.record_consent.v1"


@dataclass(frozen=True, slots=True)
class ConsentStated(Record):
    """Row of evidence: consent or its withdrawal, by the time at which the customer stated it."""

    customer_id: str
    purpose: ConsentPurpose
    channel: ConsentChannel
    stated_at: datetime
    granted: bool
    source: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Withdrawals:
    """Time of a customer's newest withdrawal by the link, by purpose, where no channel has a later consent."""

    at: Mapping[str, datetime]


def decide(state: Withdrawals | None, event: AnyEvent, now: datetime) -> Facts:
    """Return the rows of one statement. It is total over all events in any order."""
    match event.data:
        case RecordConsent() as stated:
            row = _row(stated, now)
            content = stated.model_dump() | {"changed_at": row.stated_at}
            return [row, CustomerConsentRecorded.model_validate(content)]
        case CustomerConsentChanged() as stated:
            return [_row(stated, now)]
        case Unsubscribe(purpose=purpose) if state and purpose in state.at and now - state.at[purpose] < REPEATED:
            return [Ignored("unsubscribed_before")]
        case Unsubscribe(customer_id=customer_id, purpose=purpose):
            return _withdrawn(customer_id, purpose, now)
    return [Ignored("not_subscribed")]


def recorded(stated: CustomerConsentRecorded, now: datetime) -> ConsentStated:
    """Return the row of a statement that was recorded before."""
    return _row(stated, now)


def _row(stated: CustomerConsentChanged | CustomerConsentRecorded, now: datetime) -> ConsentStated:
    """A time in the future would outdate later statements, so it counts as now."""
    at = min(stated.changed_at, now)
    return ConsentStated(stated.customer_id, stated.purpose, stated.channel, at, stated.granted, stated.source, now)


def _withdrawn(customer_id: str, purpose: ConsentPurpose, now: datetime) -> Sequence[Fact]:
    """Withdraw consent on every channel, and publish that for the shop."""
    unsubscribed = CustomerUnsubscribed(customer_id=customer_id, purpose=purpose, unsubscribed_at=now)
    return [*withdrawals(unsubscribed, now), unsubscribed]


def withdrawals(unsubscribed: CustomerUnsubscribed, now: datetime) -> list[ConsentStated]:
    """Return the rows of a customer who unsubscribed, one for each channel."""
    customer_id, purpose, at = unsubscribed.customer_id, unsubscribed.purpose, unsubscribed.unsubscribed_at
    return [ConsentStated(customer_id, purpose, channel, at, False, UNSUBSCRIBED, now) for channel in ConsentChannel]
