"""The secrets that storefronts sign with, as settings: several at once, so that one is changed without a pause."""

import base64
import binascii
from typing import Annotated

from pydantic import BeforeValidator, SecretStr
from pydantic_settings import NoDecode


def _parts(value: str) -> list[str]:
    parts = [part.strip() for part in value.split(",")]
    if not all(parts):
        raise ValueError("leave no empty secret between the commas; leave the setting away where there is none")
    return parts


def _standard(value: object) -> object:
    if not isinstance(value, str):
        return value
    for secret in _parts(value):
        try:
            key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not secret.startswith("whsec_") or not 24 <= len(key) <= 64:
            raise ValueError("write whsec_ and 24 to 64 bytes in base64, several separated by commas")
    return tuple(_parts(value))


def _shopify(value: object) -> object:
    if not isinstance(value, str):
        return value
    if any(len(secret) < 16 for secret in _parts(value)):
        raise ValueError("write the client secret of the Shopify app (16 characters or more), several with commas")
    return tuple(_parts(value))


WebhookSecrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_standard)]
ShopifySecrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_shopify)]
