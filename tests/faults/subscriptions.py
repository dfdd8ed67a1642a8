"""Subscriptions of all services, read from their apps: the checker compares inboxes with them."""

from dataclasses import dataclass

from deploy.api.api_docs import example_app
from libs.common.events.topics import SERVICES
from libs.common.runtime.service import Service


@dataclass(frozen=True, slots=True)
class SubscribedType:
    """One event type that a service consumes from a topic; `aggregate` is the name in its inbox."""

    service: str
    aggregate: str
    topic: str
    type: str


def all_subscriptions() -> tuple[SubscribedType, ...]:
    """Every subscription of every service."""
    subscribed = []
    for name in SERVICES:
        service: Service = example_app(name).state.service
        for subscription in service.subscriptions:
            subscribed += [
                SubscribedType(name, subscription.aggregate.name, subscription.topic, payload.TYPE)
                for payload in subscription.payload_types
            ]
    return tuple(subscribed)
