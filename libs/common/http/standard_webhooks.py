"""Whether a webhook is from who it says, by Standard Webhooks 1.0 (https://www.standardwebhooks.com): pure, over the
raw body, before anything of it is parsed.

The signature covers id, time and body; the library of the specification makes it, and the time is held against the
shop's clock, not the library's own. Every secret and every signature is compared, in constant time, whichever fits, so
that a secret is changed without a pause: both are set, the sender changes over, the old one is taken away.
"""

import base64
import binascii
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import BeforeValidator, SecretStr
from pydantic_settings import NoDecode
from standardwebhooks import Webhook

TOLERANCE = timedelta(minutes=5)
"""How far the time of a webhook may be from the shop's, either way, as the specification recommends."""


@dataclass(frozen=True, slots=True)
class WrongSignature(Exception):  # noqa: N818 - it is what was found, and becomes a problem
    """The webhook is not taken: `code` is stable, `message` names the header and what would be right."""

    code: str
    message: str


def check_standard(
    secrets: Sequence[str], headers: Mapping[str, str], body: bytes, now: datetime, tolerance: timedelta = TOLERANCE
) -> str:
    """The id of a webhook that is signed and fresh. Raises `WrongSignature`."""
    webhook_id, signed = header(headers, "webhook-id"), header(headers, "webhook-signature")
    sent_at = _moment(header(headers, "webhook-timestamp"))
    if "." in webhook_id or len(webhook_id) > 150:
        raise WrongSignature("invalid_webhook_id", "webhook-id: send 150 characters at most, without a dot.")
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise WrongSignature("invalid_signature", "body: send UTF-8.") from None
    right = [Webhook(secret).sign(webhook_id, sent_at, text) for secret in secrets]
    if not any_equal(right, signed.split(" ")):
        message = "webhook-signature: sign `id.timestamp.body` of the raw body with a secret that we know, as v1."
        raise WrongSignature("invalid_signature", message)
    if abs(now - sent_at) > tolerance:
        minutes = int(tolerance.total_seconds() // 60)
        message = f"webhook-timestamp: {minutes} minutes from our time at most; send it anew, with the time of now."
        raise WrongSignature("stale_timestamp", message)
    return webhook_id


def any_equal(right: Iterable[str], given: Iterable[str]) -> bool:
    """Compares each with each, so that time tells nothing about which one was nearly right."""
    found = False
    for one in right:
        for other in given:
            found |= hmac.compare_digest(one.encode(), other.encode())
    return found


def header(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name, "")
    if not value:
        raise WrongSignature("signature_missing", f"{name}: send this header; only signed webhooks are taken.")
    return value


def _moment(text: str) -> datetime:
    """Whole seconds since 1970, as the specification has them."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 11):
        raise WrongSignature("invalid_timestamp", "webhook-timestamp: send whole seconds since 1970.")
    return datetime.fromtimestamp(int(text), UTC)


def secrets_in(value: str) -> list[str]:
    """The parts of a setting with several secrets. Raises `ValueError` where one of them is empty."""
    parts = [part.strip() for part in value.split(",")]
    if not all(parts):
        raise ValueError("leave no empty secret between the commas; leave the setting away where there is none")
    return parts


def long_secrets(what: str) -> BeforeValidator:
    """For a setting with several secrets of 16 characters or more; `what` a wrong one is told to write."""

    def read(value: object) -> object:
        if not isinstance(value, str):
            return value
        secrets = secrets_in(value)
        if any(len(secret) < 16 for secret in secrets):
            raise ValueError(f"write {what} (16 characters or more), several with commas, the newest first")
        return tuple(secrets)

    return BeforeValidator(read)


def _signing(value: object) -> object:
    if not isinstance(value, str):
        return value
    for secret in secrets_in(value):
        try:
            key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not secret.startswith("whsec_") or not 24 <= len(key) <= 64:
            raise ValueError("write whsec_ and 24 to 64 bytes in base64, several separated by commas")
    return tuple(secrets_in(value))


WebhookSecrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_signing)]
"""For a setting: any of them fits."""
