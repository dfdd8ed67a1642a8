"""Shopify webhooks as events of our contract; pure. Topics and fields: https://shopify.dev/docs/api/webhooks.

A return names its units by `return_line_items[].fulfillment_line_item.line_item` and its order by `order`; its `name`
may be null, and it has no customer. Reasons: https://shopify.dev/docs/api/admin-graphql/latest/enums/ReturnReason,
which is being replaced by definitions with a handle; both are read. A line with `other` or an unknown reason is not
treated as a change of mind: staff review it, and until then it counts as the shop's fault.

| topic | becomes |
|---|---|
| `orders/create` | `order.placed` |
| `orders/cancelled` | `order.cancelled` |
| `fulfillments/create`, `fulfillments/update` | `order.shipped` once it succeeded, `order.delivered` once it arrived |
| `returns/request` | `issue.submitted`, one per reason; `issue.reported`, under review, where none is clear |

Shopify repeats updates; an event is identified by its subject and kind, so that it counts once. Orders with nothing to
ship (gift cards) and updates without news become no event.
"""

from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from libs.common.decisions.ids import derived_id
from libs.common.events.envelope import Payload
from libs.common.events.storefront import IssueSubmitted, OrderCancelled, OrderDelivered, OrderPlaced, OrderShipped
from libs.common.events.values import Reason
from services.intake.storefronts.webhook_event import WebhookContentError, WebhookEvent

TOPICS = ("orders/create", "orders/cancelled", "fulfillments/create", "fulfillments/update", "returns/request")

REASONS = {
    "defective": Reason.DEFECTIVE,
    "wrong-item": Reason.WRONG_ITEM,
    "not-as-described": Reason.WRONG_ITEM,
    "damaged-or-defective": Reason.DEFECTIVE,
    "received-the-wrong-item": Reason.WRONG_ITEM,
    "item-not-as-described": Reason.WRONG_ITEM,
    **dict.fromkeys(
        (
            "unwanted", "style", "color", "size-too-small", "size-too-large", "too-small", "too-large", "too-short",
            "too-long", "changed-mind", "changed-my-mind", "no-longer-needed",
        ),
        Reason.CHANGED_MIND,
    ),
}  # fmt: skip
"""Shopify's reasons, and handles of its reason definitions."""


def read(topic: str, body: dict[str, Any], customer_id: str = "") -> list[WebhookEvent]:
    """The facts of one webhook, none where it tells nothing new. Raises `WrongContent`.

    Shopify does not say whose a return is; `customer_id` is what the order note_fields.
    """
    match topic.lower():
        case "orders/create":
            return _placed(body)
        case "orders/cancelled":
            return _cancelled(body)
        case "fulfillments/create" | "fulfillments/update":
            return _fulfilled(body)
        case "returns/request":
            return _return_requested(body, customer_id)
    raise WebhookContentError("unknown_topic", "X-Shopify-Topic", f"subscribe to {', '.join(TOPICS)} only")


def order_of_return(body: dict[str, Any]) -> str:
    """Return the order of a `returns/request`. Raises `WrongContent`."""
    return _id(_object(body, "order"), "order.id")


def _return_requested(body: dict[str, Any], customer_id: str) -> list[WebhookEvent]:
    lines: dict[Reason | None, list[dict[str, Any]]] = {}
    notes: dict[Reason | None, list[str]] = {}
    for line in _objects(body, "return_line_items"):
        item = _object(_object(line, "fulfillment_line_item"), "line_item")
        reason = _reason(line)
        lines.setdefault(reason, []).append({"line_id": _id(item, "line_item.id"), "quantity": line.get("quantity")})
        note_fields = (line.get("customer_note"), line.get("return_reason_note"))
        notes.setdefault(reason, []).extend(str(note) for note in note_fields if note)
    return_id, order_id = _id(body, "id"), order_of_return(body)
    number = body.get("name") or return_id
    return [
        replace(
            _event(
                f"returns/{return_id}/{reason or 'unclear'}",
                IssueSubmitted,
                order_id=order_id,
                customer_id=customer_id,
                reason=reason or Reason.DEFECTIVE,
                lines=_summed(some),
                description="\n".join(notes[reason])[:4000] or None,
                # a number stands for one report of an order: the second of one return needs another
                reference=number if len(lines) == 1 else f"{number} {reason or 'unclear'}",
                issue_id=derived_id("issue", "/shopify", return_id, reason or "unclear"),
            ),
            unclear=reason is None,
        )
        for reason, some in lines.items()
    ]


def _reason(line: dict[str, Any]) -> Reason | None:
    """Return the reason; None where it is unknown."""
    defined = _maybe(line, "return_reason_definition")
    words = (defined.get("handle") or defined.get("name"), line.get("return_reason"))
    found = (REASONS.get(str(word).lower().replace(" ", "-").replace("_", "-")) for word in words)
    return next((reason for reason in found if reason), None)


def _placed(body: dict[str, Any]) -> list[WebhookEvent]:
    order_id, bought = _id(body, "id"), [line for line in _objects(body, "line_items") if _is_shipped(line)]
    if not bought:
        return []
    customer, address = _maybe(body, "customer"), _object(body, "shipping_address")
    contact = {
        "name": _name(address) or _name(customer),
        "email": body.get("contact_email") or body.get("email") or customer.get("email"),
        "language": "ja" if str(body.get("customer_locale") or "ja").startswith("ja") else "en",
        "phone": body.get("phone"),
    }
    return [
        _event(
            f"orders/{order_id}/placed",
            OrderPlaced,
            order_id=order_id,
            customer_id=str(customer.get("id") or f"guest-{order_id}"),
            placed_at=body.get("processed_at") or body.get("created_at"),
            lines=[_line(line, str(body.get("currency"))) for line in bought],
            contact=contact,
            ship_to=_address(address),
            market=address.get("country_code"),
            purchase_count=customer.get("orders_count"),
        )
    ]


def _cancelled(body: dict[str, Any]) -> list[WebhookEvent]:
    order_id = _id(body, "id")
    fields = {"cancelled_at": body.get("cancelled_at"), "cause": body.get("cancel_reason")}
    return [_event(f"orders/{order_id}/cancelled", OrderCancelled, order_id=order_id, **fields)]


def _fulfilled(body: dict[str, Any]) -> list[WebhookEvent]:
    fulfillment, order_id = _id(body, "id"), _id(body, "order_id")
    if body.get("status") != "success":
        return []
    lines = [
        {"line_id": _id(line, "line_items.id"), "quantity": line.get("quantity")}
        for line in _objects(body, "line_items")
        if _is_shipped(line)
    ]
    if not lines:
        return []
    shipped = _event(
        f"fulfillments/{fulfillment}/shipped",
        OrderShipped,
        order_id=order_id,
        lines=lines,
        shipped_at=body.get("created_at"),
        carrier=body.get("tracking_company"),
        tracking_number=body.get("tracking_number"),
    )
    if body.get("shipment_status") != "delivered":
        return [shipped]
    moment = body.get("updated_at") or body.get("created_at")
    name = f"fulfillments/{fulfillment}/delivered"
    return [shipped, _event(name, OrderDelivered, order_id=order_id, lines=lines, delivered_at=moment)]


def _line(line: dict[str, Any], currency: str) -> dict[str, Any]:
    paid = _maybe(_maybe(line, "price_set"), "shop_money")
    return {
        "line_id": _id(line, "line_items.id"),
        "sku": line.get("sku") or f"variant-{line.get('variant_id')}",
        "name": line.get("name") or line.get("title"),
        "quantity": line.get("quantity"),
        "unit_price": {
            "amount": paid.get("amount") or line.get("price"),
            "currency": paid.get("currency_code") or currency,
        },
    }


def _address(address: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": _name(address),
        "postal_code": address.get("zip") or "",
        "country": address.get("country_code"),
        "region": address.get("province"),
        "city": address.get("city"),
        "street": address.get("address1"),
        "building": address.get("address2"),
        "phone": address.get("phone"),
    }


def _name(who: dict[str, Any]) -> str:
    parts = (who.get("last_name"), who.get("first_name")) if who.get("country_code") == "JP" else ()
    parts = parts or (who.get("first_name"), who.get("last_name"))
    return str(who.get("name") or " ".join(str(part) for part in parts if part))


def _is_shipped(line: dict[str, Any]) -> bool:
    return bool(line.get("requires_shipping", True))


def _summed(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Merge repeated lines into one with the sum of their quantities."""
    found: dict[str, dict[str, Any]] = {}
    for line in lines:
        known = found.get(line["line_id"])
        whole = isinstance(line["quantity"], int) and known is not None and isinstance(known["quantity"], int)
        found[line["line_id"]] = {**line, "quantity": known["quantity"] + line["quantity"]} if known and whole else line
    return list(found.values())


def _id(thing: dict[str, Any], field: str) -> str:
    """Return an id as text; Shopify's ids are numbers."""
    found = thing.get(field.rpartition(".")[2])
    if isinstance(found, bool) or not isinstance(found, int | str) or not str(found):
        raise WebhookContentError("invalid", field, "send the id that Shopify gave")
    return str(found)


def _object(thing: dict[str, Any], field: str) -> dict[str, Any]:
    found = thing.get(field)
    if not isinstance(found, dict):
        raise WebhookContentError("invalid", field, "must be an object; let the webhook send all fields")
    return found


def _maybe(thing: dict[str, Any], field: str) -> dict[str, Any]:
    found = thing.get(field)
    return found if isinstance(found, dict) else {}


def _objects(thing: dict[str, Any], field: str) -> list[dict[str, Any]]:
    found = thing.get(field)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise WebhookContentError("invalid", field, "must be a list of objects; let the webhook send all fields")
    return found


def _event(name: str, fact: type[Payload], **fields: Any) -> WebhookEvent:
    try:
        return WebhookEvent(name, fact.model_validate(fields))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise WebhookContentError("invalid", field, f"{first['msg']} ({fact.TYPE})") from error
