"""Shopify's orders, fulfillments, refunds and merged customers as events of our contract.

An order is sent whole, again with each change, and becomes `order.placed` each time: later ones are corrections as of
`updated_at`. Units taken out before shipping reduce a line, units that were refunded after it do not: they were bought,
and can be reported. Amounts are in the shop's currency.
"""

from decimal import Decimal

from libs.common.events.storefront import (
    CustomerMerged,
    OrderCancelled,
    OrderDelivered,
    OrderPlaced,
    OrderRefunded,
    OrderShipped,
    ShipmentChanged,
)
from services.intake.storefronts.shopify_fields import (
    Json,
    digest,
    get_id,
    get_object,
    get_objects,
    maybe_object,
    maybe_objects,
    money,
    shop_money,
    text,
    total,
    webhook_event,
)
from services.intake.storefronts.webhook_event import WebhookEvent


def placed(body: Json) -> list[WebhookEvent]:
    order_id, bought = get_id(body, "id"), get_objects(body, "line_items")
    if not bought:
        return []
    customer, address = maybe_object(body, "customer"), maybe_object(body, "shipping_address")
    billing, currency = maybe_object(body, "billing_address"), text(body, "currency") or "JPY"
    contact = {
        "name": _name(address) or _name(customer) or _name(billing),
        "email": text(body, "contact_email", "email") or text(customer, "email"),
        "language": text(body, "customer_locale") or "ja",
        "phone": text(body, "phone") or text(customer, "phone"),
    }
    market = text(address, "country_code") or text(billing, "country_code")
    fields = {
        "customer_id": text(customer, "id") or f"guest-{order_id}",
        "placed_at": body.get("processed_at") or body.get("created_at"),
        "updated_at": body.get("updated_at"),
        "lines": [_line(line, body, currency) for line in bought],
        "contact": contact,
        "ship_to": _address(address) if address else None,
        "purchase_count": customer.get("orders_count"),
        "order_number": text(body, "name"),
        **({"market": market} if market else {}),
        **_amounts(body, currency),
    }
    content = digest({**fields, "placed_at": None})
    return [webhook_event(f"orders/{order_id}/placed/{content}", OrderPlaced, order_id=order_id, **fields)]


def edited(body: Json) -> list[WebhookEvent]:
    """Return the order where it is sent whole; nothing for an edit as differences.

    Two edits in succession would both be counted from the quantities known before the first. `orders/updated` comes
    beside each and states the quantities themselves.
    """
    if "line_items" in body:
        return placed(body)
    get_object(body, "order_edit")
    return []


def cancelled(body: Json) -> list[WebhookEvent]:
    order_id = get_id(body, "id")
    fields = {"cancelled_at": body.get("cancelled_at"), "cause": body.get("cancel_reason")}
    return [webhook_event(f"orders/{order_id}/cancelled", OrderCancelled, order_id=order_id, **fields)]


def fulfilled(body: Json) -> list[WebhookEvent]:
    """Return the shipment, its delivery, and a change of it: a tracking number later, or that it was called off."""
    shipment_id, order_id = get_id(body, "id"), get_id(body, "order_id")
    ids = {"order_id": order_id, "shipment_id": shipment_id}
    lines = [
        {"line_id": get_id(line, "line_items.id"), "quantity": line.get("quantity")}
        for line in get_objects(body, "line_items")
        if line.get("requires_shipping", True)
    ]
    name, changed_at = f"fulfillments/{shipment_id}", body.get("updated_at") or body.get("created_at")
    if body.get("status") == "cancelled":
        return [webhook_event(f"{name}/called_off", ShipmentChanged, **ids, changed_at=changed_at, called_off=True)]
    if body.get("status") != "success" or not lines:
        return []
    parcels = [str(each) for each in body.get("tracking_numbers") or () if each]
    tracking = {
        "carrier": text(body, "tracking_company"),
        "tracking_number": text(body, "tracking_number") or next(iter(parcels), None),
        "tracking_numbers": parcels,
    }
    known = f"{name}/tracking/{digest(tracking)}"
    shipped_at = body.get("created_at")
    shipped = webhook_event(f"{name}/shipped", OrderShipped, **ids, lines=lines, shipped_at=shipped_at, **tracking)
    events = [_covering(shipped, known)]
    if tracking["tracking_number"] or tracking["carrier"]:
        events.append(webhook_event(known, ShipmentChanged, **ids, changed_at=changed_at, **tracking))
    if body.get("shipment_status") == "delivered":
        number_ = tracking["tracking_number"]
        delivered = {"lines": lines, "delivered_at": changed_at, "tracking_number": number_}
        events.append(webhook_event(f"{name}/delivered", OrderDelivered, **ids, **delivered))
    return events


def refunded(body: Json) -> list[WebhookEvent]:
    """Return the refund; none where no money went back, as for units taken out of an unpaid order."""
    refund_id, order_id = get_id(body, "id"), get_id(body, "order_id")
    paid_back = [
        each
        for each in maybe_objects(body, "transactions")
        if each.get("kind", "refund") == "refund" and each.get("status", "success") == "success"
    ]
    items, adjustments = maybe_objects(body, "refund_line_items"), maybe_objects(body, "order_adjustments")
    currency = _currency(body, paid_back, items)
    lines = [
        {
            "line_id": get_id(each, "refund_line_items.line_item_id"),
            "quantity": each.get("quantity"),
            "amount": money(shop_money(each, "subtotal") + shop_money(each, "total_tax"), currency),
        }
        for each in items
    ]
    shipping = [each for each in adjustments if each.get("kind") == "shipping_refund"]
    shipping_amount = abs(total(shipping, "amount") + total(shipping, "tax_amount"))
    line_amount = total(items, "subtotal") + total(items, "total_tax")
    amount = total(paid_back, "amount") if paid_back else line_amount + shipping_amount
    if not amount:
        return []
    fields = {
        "refunded_at": body.get("processed_at") or body.get("created_at"),
        "lines": lines,
        "shipping": money(shipping_amount, currency) if shipping_amount else None,
        "amount": money(amount, currency),
        "transaction_id": text(paid_back[0], "id") if paid_back else None,
        "cause": text(body, "note"),
    }
    return [webhook_event(f"refunds/{refund_id}", OrderRefunded, order_id=order_id, refund_id=refund_id, **fields)]


def merged(body: Json, now: object) -> list[WebhookEvent]:
    """Return the merge; none while it has not succeeded."""
    if body.get("errors") or text(body, "status") in ("failed", "in_progress", "requested"):
        return []
    kept = get_id(body, "admin_graphql_api_customer_kept_id")
    former = get_id(body, "admin_graphql_api_customer_deleted_id")
    name = f"customers/{former}/merged/{kept}"
    return [webhook_event(name, CustomerMerged, customer_id=kept, merged_customer_id=former, merged_at=now)]


def _covering(event: WebhookEvent, key: str) -> WebhookEvent:
    return WebhookEvent(event.idempotency_key, event.payload, covers=(key,))


def _line(line: Json, order: Json, currency: str) -> Json:
    ordered, price = line.get("quantity"), shop_money(line, "price")
    discount = total(maybe_objects(line, "discount_allocations"), "amount")
    tax = Decimal(0) if order.get("taxes_included", True) else total(maybe_objects(line, "tax_lines"), "price")
    unit = maybe_object(maybe_object(line, "price_set"), "shop_money").get("currency_code") or currency
    units = _units_ordered(line, order)
    fields = {
        "line_id": get_id(line, "line_items.id"),
        "sku": text(line, "sku") or f"variant-{line.get('variant_id')}",
        "name": text(line, "name", "title"),
        "quantity": units,
        "unit_price": money(price, unit),
        "requires_shipping": bool(line.get("requires_shipping", True)),
    }
    if isinstance(ordered, int) and isinstance(units, int) and ordered > 0 and (discount or tax):
        paid = (price * ordered - discount + tax) * units / ordered
        fields["paid_amount"] = money(paid.quantize(Decimal("0.0001")).normalize(), unit)
    return fields


def _units_ordered(line: Json, order: Json) -> object:
    """Return the units that were bought: without those removed from the order, with those refunded after shipping."""
    quantity, current = line.get("quantity"), line.get("current_quantity")
    if not isinstance(quantity, int) or not isinstance(current, int) or current >= quantity:
        return quantity
    refunded_units = sum(
        item["quantity"]
        for refund in maybe_objects(order, "refunds")
        for item in maybe_objects(refund, "refund_line_items")
        if item.get("line_item_id") == line.get("id")
        and item.get("restock_type") != "cancel"
        and isinstance(item.get("quantity"), int)
    )
    return min(quantity, current + refunded_units)


def _amounts(body: Json, currency: str) -> Json:
    """Return shipping fee and total where Shopify states them."""
    lines = maybe_objects(body, "shipping_lines")
    tax_lines = [tax for line in lines for tax in maybe_objects(line, "tax_lines")]
    tax = Decimal(0) if body.get("taxes_included", True) else total(tax_lines, "price")
    fields: Json = {}
    if lines:
        discounted = sum((_discounted_fee(line) for line in lines), Decimal(0))
        fields["shipping"] = money(discounted + tax, currency)
    if body.get("total_price") is not None or body.get("total_price_set"):
        fields["total_amount"] = money(shop_money(body, "total_price"), currency)
    return fields


def _discounted_fee(line: Json) -> Decimal:
    if line.get("discounted_price"):
        return shop_money(line, "discounted_price")
    return shop_money(line, "price") - total(maybe_objects(line, "discount_allocations"), "amount")


def _currency(body: Json, paid_back: list[Json], items: list[Json]) -> str:
    sets = (maybe_object(maybe_object(item, "subtotal_set"), "shop_money") for item in items)
    found = (*(text(each, "currency") for each in paid_back), *(text(each, "currency_code") for each in sets))
    return next((each for each in found if each), None) or text(body, "currency") or "JPY"


def _address(address: Json) -> Json:
    return {
        "name": _name(address),
        "postal_code": text(address, "zip"),
        "country": text(address, "country_code"),
        "region": text(address, "province"),
        "city": text(address, "city"),
        "street": text(address, "address1"),
        "building": text(address, "address2"),
        "phone": text(address, "phone"),
    }


def _name(who: Json) -> str:
    parts = (who.get("last_name"), who.get("first_name")) if who.get("country_code") == "JP" else ()
    parts = parts or (who.get("first_name"), who.get("last_name"))
    return text(who, "name") or " ".join(str(part) for part in parts if part)
