"""Base class of the events of ledger entries."""

from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from libs.common.events import topics
from libs.common.events.envelope import Payload
from libs.common.events.values import Identifier, Value

Points = Annotated[int, Field(ge=1)]


TextCode = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.]{0,63}$")]


class LoyaltyEvent(Payload):
    """Base of all events of a ledger entry."""

    TOPIC = topics.LOYALTY

    customer_id: Identifier
    """Customer; also the Kafka key."""
    entry_id: UUID
    """Ledger entry."""
    points: Points
    """Number of points, positive."""
    cause: str
    """Idempotency key of the entry: one cause moves points at most once."""
    text: TextCode | None = None
    """Code of the text for the customer; the event's other fields are its parameters."""


class Title(Value):
    """Name of a tier, perk or campaign for customers, in one language."""

    code: TextCode
    """Tier, perk or campaign."""
    language: Annotated[str, StringConstraints(max_length=35)]
    """Language, a BCP 47 tag."""
    text: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    """Name."""
