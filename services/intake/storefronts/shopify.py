"""Shopify webhooks as events of our contract; pure. Topics and fields: https://shopify.dev/docs/api/webhooks.

| topic | becomes |
|---|---|
| `orders/create`, `orders/updated` | `order.placed`, again with each change |
| `orders/edited` | nothing, or `order.placed` where it is the whole order: `orders/updated` states the quantities |
| `orders/cancelled` | `order.cancelled` |
| `fulfillments/create`, `fulfillments/update` | `order.shipped` once it succeeded, `order.delivered` once it arrived |
| the same | `shipment.changed` for a tracking number that comes later, and for a cancelled fulfillment |
| `refunds/create` | `order.refunded` |
| `customers/merge` | `customer.merged` |
| `returns/request` | `issue.submitted`, one per reason; `issue.reported`, under review, where none is clear |

Shopify repeats updates; an event is identified by its subject and kind, and by its content where it may change, so that
it counts once. Updates without news become no event.
"""

from datetime import UTC, datetime

from services.intake.storefronts import shopify_orders, shopify_returns
from services.intake.storefronts.shopify_fields import Json
from services.intake.storefronts.shopify_returns import order_of_return
from services.intake.storefronts.webhook_event import WebhookContentError, WebhookEvent

TOPICS = (
    "orders/create",
    "orders/updated",
    "orders/edited",
    "orders/cancelled",
    "fulfillments/create",
    "fulfillments/update",
    "refunds/create",
    "customers/merge",
    "returns/request",
)


def order_named_by(topic: str, body: Json) -> str | None:
    """Return the order that must be known to read this message; None where the message is complete."""
    match topic.lower():
        case "returns/request":
            return order_of_return(body)
    return None


def read(topic: str, body: Json, customer_id: str = "", now: datetime | None = None) -> list[WebhookEvent]:
    """Return the events of one webhook, none where it states nothing new. Raises `WebhookContentError`.

    Shopify does not say whose a return is; `customer_id` is from the order.
    """
    match topic.lower():
        case "orders/create" | "orders/updated":
            return shopify_orders.placed(body)
        case "orders/edited":
            return shopify_orders.edited(body)
        case "orders/cancelled":
            return shopify_orders.cancelled(body)
        case "fulfillments/create" | "fulfillments/update":
            return shopify_orders.fulfilled(body)
        case "refunds/create":
            return shopify_orders.refunded(body)
        case "customers/merge":
            return shopify_orders.merged(body, now or datetime.now(UTC))
        case "returns/request":
            return shopify_returns.requested(body, customer_id)
    raise WebhookContentError("unknown_topic", "X-Shopify-Topic", f"subscribe to {', '.join(TOPICS)} only")
