"""Whether a webhook is from who it says: pure, over the raw body, before anything of it is parsed.

Standard Webhooks 1.0 (https://www.standardwebhooks.com): the signature covers id, time and body; the library of the
specification makes it, and the time is held against the shop's clock, not the library's own. Shopify: HMAC-SHA256 of
the body by the app's client secret (https://shopify.dev/docs/apps/build/webhooks); it signs no time, so a repeated
call is known by what it tells. Every secret and every signature is compared, in constant time, whichever fits.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

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
    webhook_id, signed = _header(headers, "webhook-id"), _header(headers, "webhook-signature")
    sent_at = _moment(_header(headers, "webhook-timestamp"))
    if "." in webhook_id or len(webhook_id) > 150:
        raise WrongSignature("invalid_webhook_id", "webhook-id: send 150 characters at most, without a dot.")
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise WrongSignature("invalid_signature", "body: send UTF-8.") from None
    right = [Webhook(secret).sign(webhook_id, sent_at, text) for secret in secrets]
    if not _any_equal(right, signed.split(" ")):
        message = "webhook-signature: sign `id.timestamp.body` of the raw body with a secret that we know, as v1."
        raise WrongSignature("invalid_signature", message)
    if abs(now - sent_at) > tolerance:
        minutes = int(tolerance.total_seconds() // 60)
        message = f"webhook-timestamp: {minutes} minutes from our time at most; send it anew, with the time of now."
        raise WrongSignature("stale_timestamp", message)
    return webhook_id


def check_shopify(secrets: Sequence[str], headers: Mapping[str, str], body: bytes) -> None:
    """Raises `WrongSignature`."""
    right = [base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode() for secret in secrets]
    if not _any_equal(right, [_header(headers, "x-shopify-hmac-sha256")]):
        message = "X-Shopify-Hmac-Sha256: sign the raw body with the client secret that SHOPIFY_SECRETS holds."
        raise WrongSignature("invalid_signature", message)


def _any_equal(right: Iterable[str], given: Iterable[str]) -> bool:
    """Compares each with each, so that time tells nothing about which one was nearly right."""
    found = False
    for one in right:
        for other in given:
            found |= hmac.compare_digest(one.encode(), other.encode())
    return found


def _header(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name, "")
    if not value:
        raise WrongSignature("signature_missing", f"{name}: send this header; only signed webhooks are taken.")
    return value


def _moment(text: str) -> datetime:
    """Whole seconds since 1970, as the specification has them."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 11):
        raise WrongSignature("invalid_timestamp", "webhook-timestamp: send whole seconds since 1970.")
    return datetime.fromtimestamp(int(text), UTC)
