"""Fields of Shopify's JSON, read one by one: what is missing or unusual is left out, what is unreadable is named."""

import hashlib
import json
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Any

from pydantic import ValidationError

from libs.common.events.envelope import Payload
from libs.common.events.faults import faults_of
from services.intake.storefronts.webhook_event import WebhookContentError, WebhookEvent

Json = dict[str, Any]


def get_id(thing: Json, field: str) -> str:
    """Return an id as text; Shopify's ids are numbers, or end a `gid://` address. Raises `WebhookContentError`."""
    found = thing.get(field.rpartition(".")[2])
    if isinstance(found, bool) or not isinstance(found, int | str) or not str(found).strip():
        raise WebhookContentError("invalid", field, "send the id that Shopify gave")
    return str(found).rpartition("/")[2] if str(found).startswith("gid://") else str(found)


def get_object(thing: Json, field: str) -> Json:
    """Return an object. Raises `WebhookContentError`."""
    found = thing.get(field)
    if not isinstance(found, dict):
        raise WebhookContentError("invalid", field, "must be an object; let the webhook send all fields")
    return found


def maybe_object(thing: Json, field: str) -> Json:
    found = thing.get(field)
    return found if isinstance(found, dict) else {}


def get_objects(thing: Json, field: str) -> list[Json]:
    """Return a list of objects. Raises `WebhookContentError`."""
    found = thing.get(field)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise WebhookContentError("invalid", field, "must be a list of objects; let the webhook send all fields")
    return found


def maybe_objects(thing: Json, field: str) -> list[Json]:
    found = thing.get(field)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def text(thing: Json, *fields: str) -> str | None:
    """Return the first of these fields that is not blank."""
    values = (thing.get(field) for field in fields)
    return next((str(value).strip() for value in values if isinstance(value, str | int) and str(value).strip()), None)


def number(value: object) -> Decimal:
    """Return an amount; 0 where there is none, or where it is no amount of money (1e400)."""
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return Decimal(0)
    return found if found.is_finite() and abs(found) < Decimal("1e12") else Decimal(0)


def shop_money(thing: Json, field: str) -> Decimal:
    """Return an amount in the shop's currency: `<field>_set.shop_money`, else `<field>`."""
    money = maybe_object(maybe_object(thing, f"{field}_set"), "shop_money")
    return number(money.get("amount", thing.get(field)))


def total(things: Iterable[Json], field: str) -> Decimal:
    return sum((shop_money(thing, field) for thing in things), Decimal(0))


def money(amount: Decimal, currency: str) -> Json:
    return {"amount": f"{amount:f}", "currency": currency}


def digest(*content: object) -> str:
    """Return a short digest by which equal content is recognized."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:24]


def webhook_event(name: str, payload: type[Payload], **fields: Any) -> WebhookEvent:
    """Return the event, identified by `name`. Raises `WebhookContentError` with all faults."""
    try:
        return WebhookEvent(name, payload.model_validate(fields))
    except ValidationError as error:
        faults = faults_of(error)
        field, message = faults[0]
        raise WebhookContentError("invalid", field, f"{message} ({payload.TYPE})", faults) from error
