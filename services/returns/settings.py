"""Settings of returns: those of every service, the policy, and the shop's country for its holidays.

`policy_file` is one policy, or a folder with its versions. `address_key` keys the hash by which addresses of customers
are compared; without it none are, and only collections of one order share a visit. Several with commas: orders are
written under the first, and a door that is known under another one is the same door.
"""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, StringConstraints
from pydantic_settings import NoDecode

from libs.common.config.settings import ServiceSettings
from libs.common.http.standard_webhooks import long_secrets
from services.returns.policy.policy_loader import BUNDLED, read_policies
from services.returns.policy.policy_versions import PolicyError


def _right(path: Path) -> Path:
    try:
        read_policies(path)
    except PolicyError as error:
        raise ValueError(str(error)) from None
    return path


class Settings(ServiceSettings):
    policy_file: Annotated[Path, AfterValidator(_right)] = BUNDLED
    policy_poll_seconds: Annotated[float, Field(gt=0, le=3600)] = 5.0
    address_key: Annotated[tuple[SecretStr, ...], NoDecode, long_secrets("a key")] = ()
    address_retention_days: Annotated[int, Field(ge=30)] = 730
    """How long it is known where an order went: longer than anything can be reported."""
    shop_country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] = "JP"
