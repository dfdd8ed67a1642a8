"""Subscriptions and publications of partners, derived from the rights of its partners, and its decision.

The service reads only topics with events for one of its partners.
"""

from collections.abc import Mapping
from datetime import datetime

from libs.common.decisions.facts import Facts
from libs.common.events.envelope import Payload
from libs.common.events.registry import PAYLOADS, AnyEvent
from libs.common.events.topics import Direction
from services.partners.domain.feed import FeedHead, add_to_feed
from services.partners.policy.partner_terms import PartnerTerms, received_types

PUBLISHES: tuple[type[Payload], ...] = tuple(each for each in PAYLOADS if each.TOPIC.direction is Direction.IN)
"""Everything that a partner may send."""


def subscriptions(partners: Mapping[str, PartnerTerms]) -> tuple[type[Payload], ...]:
    """Return the payload types that at least one partner receives."""
    wanted = received_types(partners)
    return tuple(each for each in PAYLOADS if each.TYPE in wanted)


def decide(
    state: FeedHead | None, event: AnyEvent, now: datetime, rules: Mapping[str, PartnerTerms]
) -> tuple[FeedHead, Facts]:
    """Decide on one event: add it to the feed or ignore it. `rules` are the partners by name."""
    return add_to_feed(state or FeedHead(), event, now, rules)
