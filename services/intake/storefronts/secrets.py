"""The secrets that Shopify signs with, as a setting: several at once, so that one is changed without a pause."""

from typing import Annotated

from pydantic import SecretStr
from pydantic_settings import NoDecode

from libs.common.http.standard_webhooks import long_secrets

ShopifySecrets = Annotated[tuple[SecretStr, ...], NoDecode, long_secrets("the client secret of the Shopify app")]
