"""Feed: the events that partners receive, in one order, with the partners that each is addressed to."""

from collections.abc import Mapping
from datetime import datetime

from libs.common.decisions.facts import Facts, Ignored, Record
from libs.common.decisions.fast_dataclass import dataclass
from libs.common.events.registry import AnyEvent
from libs.common.events.rejections import EventRejected
from services.partners.policy.partner_terms import PartnerTerms

KINDS = ("issue_id", "order_id", "replacement_id", "collection_id", "refund_id", "return_id", "return_slip")
"""Fields whose ids a partner was given once it was sent an event with them."""


@dataclass(frozen=True, slots=True)
class FeedHead:
    """Position of the newest event of the feed."""

    position: int = 0


@dataclass(frozen=True, slots=True)
class FeedEntry(Record):
    """One event of the feed, the partners that it is addressed to, and its W3C trace context."""

    position: int
    event: AnyEvent
    partners: tuple[str, ...]
    trace: str | None = None


def addressees(event: AnyEvent, partners: Mapping[str, PartnerTerms]) -> tuple[str, ...]:
    """Return the partners that this event is for. The answer to a refused event is for its author only."""
    author = author_of(event.data.source or "") if isinstance(event.data, EventRejected) else None
    return tuple(
        name
        for name, terms in partners.items()
        if event.type in terms.may_receive and (author is None or author == name)
    )


def author_of(source: str) -> str:
    """Return the first part of a `source`, which names its author."""
    return source.strip("/ ").partition("/")[0].casefold()


def add_to_feed(
    head: FeedHead, event: AnyEvent, now: datetime, partners: Mapping[str, PartnerTerms]
) -> tuple[FeedHead, Facts]:
    """Give the event the next position of the feed, if it is for any partner."""
    named = addressees(event, partners)
    if not named:
        return head, [Ignored("no_partner")]
    head = FeedHead(head.position + 1)
    return head, [FeedEntry(head.position, event, named)]


def ids_in(event: AnyEvent) -> dict[str, str]:
    """Return the ids that this event names, by field."""
    return {kind: str(value) for kind in KINDS if (value := getattr(event.data, kind, None))}
