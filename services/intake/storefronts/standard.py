"""Standard Webhooks: `{"type": ..., "timestamp": ..., "data": {...}}`, type and data as in our contract."""

import json
from typing import Any

from pydantic import ValidationError

from libs.common.decisions.ids import derived_id
from libs.common.events import storefront
from libs.common.events.envelope import Payload
from libs.common.events.storefront import IssueSubmitted, StorefrontOrderEvent
from services.intake.storefronts.webhook_event import WebhookContentError, WebhookEvent

TYPES: dict[str, type[Payload]] = {
    fact.TYPE: fact
    for fact in vars(storefront).values()
    if isinstance(fact, type) and issubclass(fact, StorefrontOrderEvent | IssueSubmitted) and hasattr(fact, "TYPE")
}
"""Event types that a storefront may send: those of its two topics."""


def read(webhook_id: str, body: bytes) -> WebhookEvent:
    """Return the event of a webhook. Raises `WrongContent`. A report gets an id that follows from the webhook's."""
    message = parse(body)
    type_ = message.get("type")
    known = TYPES.get(type_) or TYPES.get(f"{type_}.v1") if isinstance(type_, str) else None
    if known is None:
        raise WebhookContentError("unknown_type", "type", f"not one of {', '.join(sorted(TYPES))}")
    try:
        fact = known.model_validate_json(json.dumps(message.get("data")), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(("data", *map(str, first["loc"])))
        raise WebhookContentError("invalid", field, first["msg"]) from error
    if isinstance(fact, IssueSubmitted) and fact.issue_id is None:
        fact = fact.model_copy(update={"issue_id": derived_id("issue", "/webhooks", webhook_id)})
    return WebhookEvent(webhook_id, fact)


def parse(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a body. Raises `WrongContent`."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise WebhookContentError("malformed_json", "body", "not JSON; send a JSON object") from error
    if not isinstance(found, dict):
        raise WebhookContentError("malformed_json", "body", "send a JSON object")
    return found
