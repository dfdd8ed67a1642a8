"""Buffer for events of an order that come before its `order.placed`."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, TypeAlias

from libs.common.events.envelope import Payload
from libs.common.events.storefront import OrderDelayed, OrderPromiseChanged, PreorderProgressed
from services.delivery_notify.domain.context import ConversationDecision
from services.delivery_notify.domain.conversation import BufferedEvent

MAX_BUFFERED_EVENTS = 50

Handler: TypeAlias = Callable[[ConversationDecision, Any], None]

_DATED = (OrderPromiseChanged, OrderDelayed, PreorderProgressed)


class EventBufferFullError(ValueError):
    """The event buffer of an order is full: find out why its `order.placed` is missing.

    The event becomes a dead letter, and so do later events of the order, even a late `order.placed`: once ops discard
    the surplus, the rest is replayed in order.
    """


def after_placement(
    handler: Callable[[ConversationDecision, Any], None],
) -> Callable[[ConversationDecision, Any], None]:
    """Return a handler that buffers the event if the order is not placed yet. Raises `EventBufferFullError`."""

    def handle(decision: ConversationDecision, event: Payload) -> None:
        if decision.state.placed:
            handler(decision, event)
            return
        if len(decision.state.buffered) >= MAX_BUFFERED_EVENTS:
            raise EventBufferFullError(
                f"{decision.state.order_id}: {MAX_BUFFERED_EVENTS} events are buffered; order.placed is missing"
            )
        buffered = BufferedEvent(event.TYPE, event.model_dump_json(exclude_none=True))
        decision.change(buffered=(*decision.state.buffered, buffered))
        decision.ignore("buffered_until_order_placed")

    return handle


def in_order(events: Iterable[Payload]) -> list[Payload]:
    """Sort events by their time; shipments and cancellations first, since they need no date any more."""
    return sorted(events, key=lambda event: (isinstance(event, _DATED), _happened_at(event)))


def _happened_at(event: Payload) -> datetime:
    names = ("changed_at", "delayed_at", "shipped_at", "delivered_at", "cancelled_at", "progressed_at")
    moment: datetime = next(getattr(event, name) for name in names if hasattr(event, name))
    return moment
