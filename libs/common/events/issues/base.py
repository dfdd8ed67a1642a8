"""Base class of the events of an issue. No personal data (invariant 12)."""

from uuid import UUID

from libs.common.events import topics
from libs.common.events.envelope import Payload
from libs.common.events.values import (
    Identifier,
)


class IssueEvent(Payload):
    """Base of all events of an issue."""

    TOPIC = topics.ISSUES

    issue_id: UUID
    """Issue."""
    order_id: Identifier
    """Order that the issue is about."""
    customer_id: Identifier
    """Customer who placed the order; also the Kafka key."""
