"""Settings of returns: those of every service, the policy, and the shop's country for its holidays.

`policy_file` is one policy, or a folder with its versions. `address_key` keys the hash by which addresses of customers
are compared; without it none are, and only collections of one order share a visit. Several with commas: orders are
written under the first, and a door that is known under another one is the same door.
"""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, StringConstraints
from pydantic_settings import NoDecode

from libs.common.settings import ServiceSettings
from libs.common.standard_webhooks import secrets_in
from services.returns.policies import PolicyError
from services.returns.policy_files import BUNDLED, read_policies


def _right(path: Path) -> Path:
    try:
        read_policies(path)
    except PolicyError as error:
        raise ValueError(str(error)) from None
    return path


def _address_keys(value: object) -> object:
    if not isinstance(value, str):
        return value
    if any(len(key) < 16 for key in secrets_in(value)):
        raise ValueError("write 16 characters or more, several keys with commas, the newest first")
    return tuple(secrets_in(value))


class Settings(ServiceSettings):
    policy_file: Annotated[Path, AfterValidator(_right)] = BUNDLED
    policy_look_seconds: Annotated[float, Field(gt=0, le=3600)] = 5.0
    address_key: Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_address_keys)] = ()
    address_retention_days: Annotated[int, Field(ge=30)] = 730
    """How long it is known where an order went: longer than anything can be reported."""
    shop_country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] = "JP"
