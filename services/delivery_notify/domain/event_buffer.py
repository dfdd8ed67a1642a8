"""Buffers for events that come early: before `order.placed`, or before the merge of the accounts of one customer."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, TypeAlias

from libs.common.events.envelope import Payload
from libs.common.events.issues import IssueEvent
from libs.common.events.loyalty import PointsGranted, PointsWithheld
from libs.common.events.registry import BY_TYPE
from libs.common.events.storefront import OrderDelayed, OrderPromiseChanged, PreorderProgressed
from services.delivery_notify.domain.context import ConversationDecision
from services.delivery_notify.domain.conversation import BufferedEvent, HeldEvent

MAX_BUFFERED_EVENTS = 50

Handler: TypeAlias = Callable[[ConversationDecision, Any], None]

CustomerEvent: TypeAlias = IssueEvent | PointsGranted | PointsWithheld
"""An event about an issue that names its customer."""

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


def hold_for_merge(decision: ConversationDecision, event: CustomerEvent) -> bool:
    """Hold an event that names another account than the order's; return whether it does.

    Topics are consumed at different speeds, so the account that remains may be named before `customer.merged` arrives.
    What no merge explains stays held: no message of one customer may reach another.
    """
    conversation = decision.state
    if conversation.customer_id is None or conversation.customer_id == event.customer_id:
        return False
    if len(conversation.held) < MAX_BUFFERED_EVENTS:
        held = HeldEvent(event.customer_id, event.TYPE, event.model_dump_json(exclude_none=True))
        decision.change(held=(*conversation.held, held))
    return True


def take_released(decision: ConversationDecision) -> list[Payload]:
    """Return the held events that are of the order's customer by now, in the order of their arrival."""
    customer_id, held = decision.state.customer_id, decision.state.held
    released = [each for each in held if each.customer_id == customer_id]
    decision.change(held=tuple(each for each in held if each.customer_id != customer_id))
    payloads = (BY_TYPE[each.type].model_validate_json(each.body) for each in released)
    return [payload.model_copy(update={"customer_id": customer_id}) for payload in payloads]


def in_order(events: Iterable[Payload]) -> list[Payload]:
    """Sort events by their time; shipments and cancellations first, since they need no date any more."""
    return sorted(events, key=lambda event: (isinstance(event, _DATED), _happened_at(event)))


def _happened_at(event: Payload) -> datetime:
    names = ("changed_at", "delayed_at", "shipped_at", "delivered_at", "cancelled_at", "progressed_at")
    moment: datetime = next(getattr(event, name) for name in names if hasattr(event, name))
    return moment
