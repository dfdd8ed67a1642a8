"""Shopify's `returns/request` as reports of our contract, one per reason.

A return names its units by `return_line_items[].fulfillment_line_item.line_item`, or by `line_item` where they were
never fulfilled, and its order by `order`; its `name` may be null, and it has no customer. Reasons:
https://shopify.dev/docs/api/admin-graphql/latest/enums/ReturnReason, which is being replaced by definitions with a
handle; both are read. A line with `other` or an unknown reason is not treated as a change of mind: staff review it, and
until then it counts as the shop's fault.
"""

from dataclasses import replace

from libs.common.decisions.ids import derived_id
from libs.common.events.storefront import IssueSubmitted
from libs.common.events.values import Reason
from services.intake.storefronts.shopify_fields import (
    Json,
    get_id,
    get_object,
    get_objects,
    maybe_object,
    text,
    webhook_event,
)
from services.intake.storefronts.webhook_event import WebhookContentError, WebhookEvent

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


def order_of_return(body: Json) -> str:
    """Return the order of a `returns/request`. Raises `WebhookContentError`."""
    return get_id(get_object(body, "order"), "order.id")


def requested(body: Json, customer_id: str) -> list[WebhookEvent]:
    """Return the reports. Lines without an item are named in the description of the others, for staff."""
    lines: dict[Reason | None, list[Json]] = {}
    notes: dict[Reason | None, list[str]] = {}
    unnamed: list[str] = []
    for line in get_objects(body, "return_line_items"):
        item = maybe_object(maybe_object(line, "fulfillment_line_item"), "line_item") or maybe_object(line, "line_item")
        if not item:
            unnamed.append(text(line, "customer_note", "return_reason_note") or f"return line {line.get('id')}")
            continue
        reason = _reason(line)
        lines.setdefault(reason, []).append({"line_id": get_id(item, "line_item.id"), "quantity": line.get("quantity")})
        note_fields = (line.get("customer_note"), line.get("return_reason_note"))
        notes.setdefault(reason, []).extend(str(note) for note in note_fields if note)
    if not lines:
        field = "return_line_items.fulfillment_line_item"
        raise WebhookContentError("invalid", field, "names no line item; let the webhook send all fields")
    return_id, order_id = get_id(body, "id"), order_of_return(body)
    number = body.get("name") or return_id
    return [
        replace(
            webhook_event(
                f"returns/{return_id}/{reason or 'unclear'}",
                IssueSubmitted,
                order_id=order_id,
                customer_id=customer_id,
                reason=reason or Reason.DEFECTIVE,
                lines=_summed(some),
                description="\n".join((*notes[reason], *unnamed))[:4000] or None,
                # a number stands for one report of an order: the second of one return needs another
                reference=number if len(lines) == 1 else f"{number} {reason or 'unclear'}",
                issue_id=derived_id("issue", "/shopify", return_id, reason or "unclear"),
            ),
            unclear=reason is None,
        )
        for reason, some in lines.items()
    ]


def _reason(line: Json) -> Reason | None:
    """Return the reason; None where it is unknown."""
    defined = maybe_object(line, "return_reason_definition")
    words = (defined.get("handle") or defined.get("name"), line.get("return_reason"))
    found = (REASONS.get(str(word).lower().replace(" ", "-").replace("_", "-")) for word in words)
    return next((reason for reason in found if reason), None)


def _summed(lines: list[Json]) -> list[Json]:
    """Merge repeated lines into one with the sum of their quantities."""
    found: dict[str, Json] = {}
    for line in lines:
        known = found.get(line["line_id"])
        whole = isinstance(line["quantity"], int) and known is not None and isinstance(known["quantity"], int)
        found[line["line_id"]] = {**line, "quantity": known["quantity"] + line["quantity"]} if known and whole else line
    return list(found.values())
