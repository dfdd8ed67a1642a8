"""Signature verification by Standard Webhooks 1.0 (https://www.standardwebhooks.com), over the raw body.

The specification's library computes signatures; timestamps are compared with the shop's clock instead of the library's.
All secrets are compared with all signatures in constant time, so that a secret is rotated without downtime: set both,
switch the sender, remove the old one.
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
"""Maximum clock difference in either direction, as the specification recommends."""


HEADER_PREFIXES = ("webhook", "svix")
"""Header names of the standard, and those that Svix, where it comes from, still sends."""


@dataclass(frozen=True, slots=True)
class WrongSignature(Exception):  # noqa: N818 - becomes a problem of that name
    """The webhook is rejected: `code` is stable, `message` names the header, the fault and the remedy."""

    code: str
    message: str


def check_standard(
    secrets: Sequence[str], headers: Mapping[str, str], body: bytes, now: datetime, tolerance: timedelta = TOLERANCE
) -> str:
    """Verify signature and timestamp and return the webhook's id. Raises `WrongSignature`."""
    prefix = next((name for name in HEADER_PREFIXES if f"{name}-id" in headers), HEADER_PREFIXES[0])
    webhook_id, signed = header(headers, f"{prefix}-id"), header(headers, f"{prefix}-signature")
    sent_at = _moment(header(headers, f"{prefix}-timestamp"))
    if "." in webhook_id or len(webhook_id) > 150:
        raise WrongSignature("invalid_webhook_id", "webhook-id: not valid; send at most 150 characters, without dots.")
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise WrongSignature("invalid_signature", "body: not UTF-8; send UTF-8.") from None
    right = [Webhook(secret).sign(webhook_id, sent_at, text) for secret in secrets]
    if not any_equal(right, signed.split(" ")):
        message = "webhook-signature: no valid signature; sign `id.timestamp.body` of the raw body, as v1."
        raise WrongSignature("invalid_signature", message)
    if abs(now - sent_at) > tolerance:
        minutes = int(tolerance.total_seconds() // 60)
        message = f"webhook-timestamp: over {minutes} minutes off; send the webhook again with the current time."
        raise WrongSignature("stale_timestamp", message)
    return webhook_id


def any_equal(expected: Iterable[str], given: Iterable[str]) -> bool:
    """Compare each pair in constant time, without an early exit."""
    found, candidates = False, list(given)
    for signature in expected:
        for other in candidates:
            found |= hmac.compare_digest(signature.encode(), other.encode())
    return found


def header(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name, "")
    if not value:
        raise WrongSignature("signature_missing", f"{name}: missing; only signed webhooks are accepted.")
    return value


def _moment(text: str) -> datetime:
    """Parse whole seconds since 1970."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 11):
        raise WrongSignature("invalid_timestamp", "webhook-timestamp: not a number; send whole seconds since 1970.")
    return datetime.fromtimestamp(int(text), UTC)


def secrets_in(value: str) -> list[str]:
    """Split a setting with several secrets. Raises `ValueError` for an empty entry."""
    parts = [part.strip() for part in value.split(",")]
    if not all(parts):
        raise ValueError("contains an empty entry; unset the variable to disable")
    return parts


def long_secrets(what: str) -> BeforeValidator:
    """Return a validator for a setting with several secrets of 16 characters or more; `what` names them in errors."""

    def read(value: object) -> object:
        if not isinstance(value, str):
            return value
        secrets = secrets_in(value)
        if any(len(secret) < 16 for secret in secrets):
            raise ValueError(f"too short; use {what} (16 characters or more), separated by commas, the newest first")
        return tuple(secrets)

    return BeforeValidator(read)


def _parse_signing_secrets(value: object) -> object:
    if not isinstance(value, str):
        return value
    for secret in secrets_in(value):
        try:
            key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not secret.startswith("whsec_") or not 24 <= len(key) <= 64:
            raise ValueError("not a webhook secret; use whsec_ and 24 to 64 bytes in base64, separated by commas")
    return tuple(secrets_in(value))


WebhookSecrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_parse_signing_secrets)]
"""Type of a setting with webhook secrets; any of them is accepted."""
