"""Rules for the `source` of an event: which author may write on which topic.

A partner names its `source` freely, except that the first segment may be neither the name of a service nor of another
partner. Authors are distinguished by the topic, which Kafka's ACLs protect, and never by `source` alone: a registry of
sources was rejected, because a record of one topic would then decide about records of another.

Events that a service publishes for a partner (storefront webhooks) have a source of that partner, so that no record on
a partner's topic has a service's name.
"""

from functools import lru_cache

from libs.common.events.registry import AnyEvent
from libs.common.events.topics import ALL_SERVICES, Direction, Topic

PARTNERS = {"storefront": "storefront", "warehouse": "warehouse", "carrier": "courier", "payment": "payment provider"}
"""Partner by the first part of its topics' names."""

_OWN = frozenset({*ALL_SERVICES, "erase"})
"""`/erase` is the source of erasure requests, which operators publish."""

_OF_PARTNERS = {name: frozenset({name, partner.replace(" ", "_")}) for name, partner in PARTNERS.items()}
_ALL_PARTNERS = frozenset().union(*_OF_PARTNERS.values())


def service_source(service: str, topic: Topic) -> str:
    """Return the source of the events that a service publishes on this topic."""
    return f"/{_partner(topic)}/{service}" if topic.direction is Direction.IN else f"/{service}"


def source_fault(event: AnyEvent, topic: str) -> str | None:
    """Return why this event must not be on this topic (its name without prefix), or None."""
    expected = event.data.TOPIC
    if expected.name != topic:
        return f"type: {event.type} belongs on topic {expected.name}, not on {topic}; publish it there"
    if not _is_allowed(event.source, expected):
        return (
            f"source: {event.source!r} is the name of another author on topic {topic}; "
            f"use a name of your own, such as '/{_partner(expected)}'"
        )
    return None


@lru_cache(maxsize=4096)
def _is_allowed(source: str, topic: Topic) -> bool:
    first = source.strip("/ ").partition("/")[0].casefold()
    if topic.direction is not Direction.IN:
        return first not in _ALL_PARTNERS
    return first not in _OWN | (_ALL_PARTNERS - _OF_PARTNERS[_partner(topic)])


def _partner(topic: Topic) -> str:
    return topic.name.partition(".")[0]
