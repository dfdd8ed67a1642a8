"""Standard Webhooks: `{"type": ..., "timestamp": ..., "data": {...}}`, type and data as in our contract."""

import json
from typing import Any

from pydantic import ValidationError

from libs.common.decisions.ids import derived_id
from libs.common.events import change_requests, storefront
from libs.common.events.envelope import Payload
from libs.common.events.faults import faults_of
from libs.common.events.json_text import well_formed
from libs.common.events.storefront import CustomerMerged, IssueSubmitted, IssueWithdrawn, StorefrontOrderEvent
from services.intake.storefronts.webhook_event import WebhookContentError, WebhookEvent

_SENT = (StorefrontOrderEvent, IssueSubmitted, IssueWithdrawn, CustomerMerged)

TYPES: dict[str, type[Payload]] = {
    payload.TYPE: payload
    for payload in (*vars(storefront).values(), *vars(change_requests).values())
    if isinstance(payload, type) and issubclass(payload, _SENT) and hasattr(payload, "TYPE")
}
"""Event types that a storefront may send: those of its topics."""


def read(webhook_id: str, body: bytes) -> WebhookEvent:
    """Return the event of a webhook; a report gets an id that follows from the webhook's.

    Raises `WebhookContentError`.
    """
    message = parse(body)
    type_ = message.get("type")
    known = TYPES.get(type_) or TYPES.get(f"{type_}.v1") if isinstance(type_, str) else None
    if known is None:
        raise WebhookContentError("unknown_type", "type", f"not one of {', '.join(sorted(TYPES))}")
    try:
        payload = known.model_validate_json(json.dumps(message.get("data")), strict=True)
    except ValidationError as error:
        faults = faults_of(error, "data")
        raise WebhookContentError("invalid", *faults[0], faults) from error
    if isinstance(payload, IssueSubmitted) and payload.issue_id is None:
        payload = payload.model_copy(update={"issue_id": derived_id("issue", "/webhooks", webhook_id)})
    return WebhookEvent(webhook_id, payload)


def parse(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a body. Raises `WebhookContentError`."""
    try:
        found = json.loads(well_formed(body))
    except (ValueError, RecursionError) as error:
        raise WebhookContentError("malformed_json", "body", "not JSON; send a JSON object") from error
    if not isinstance(found, dict):
        raise WebhookContentError("malformed_json", "body", "send a JSON object")
    return found
