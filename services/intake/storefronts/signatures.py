"""Signatures of Shopify webhooks: HMAC-SHA256 of the raw body with the app's client secret.

https://shopify.dev/docs/apps/build/webhooks . No time is signed, so duplicates are detected by their content. Standard
Webhooks are verified in `libs.common.http.standard_webhooks`.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence

from libs.common.http.standard_webhooks import WrongSignature, any_equal, header


def check_shopify(secrets: Sequence[str], headers: Mapping[str, str], body: bytes) -> None:
    """Verify the signature. Raises `WrongSignature`."""
    right = [base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode() for secret in secrets]
    if not any_equal(right, [header(headers, "x-shopify-hmac-sha256")]):
        message = "X-Shopify-Hmac-Sha256: sign the raw body with the client secret that SHOPIFY_SECRETS holds."
        raise WrongSignature("invalid_signature", message)
