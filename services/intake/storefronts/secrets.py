"""The secrets that Shopify signs with, as a setting: several at once, so that one is changed without a pause."""

from typing import Annotated

from pydantic import BeforeValidator, SecretStr
from pydantic_settings import NoDecode

from libs.common.standard_webhooks import secrets_in


def _shopify(value: object) -> object:
    if not isinstance(value, str):
        return value
    if any(len(secret) < 16 for secret in secrets_in(value)):
        raise ValueError("write the client secret of the Shopify app (16 characters or more), several with commas")
    return tuple(secrets_in(value))


ShopifySecrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_shopify)]
