"""Subscription of a service to one topic."""

from dataclasses import dataclass
from typing import Any

from libs.common.events.envelope import Payload
from libs.common.messaging.decision_runner import Aggregate


@dataclass(frozen=True, slots=True)
class Subscription:
    """One topic (without prefix), the payload types consumed from it, and the aggregate that decides on them.

    `prompt`: decided before other records of the same turn, for steps that a customer waits for.
    """

    topic: str
    payload_types: tuple[type[Payload], ...]
    aggregate: Aggregate[Any]
    prompt: bool = False
