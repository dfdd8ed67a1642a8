"""Settings of returns: those of every service, the policy, and the shop's country for its holidays.

`policy_file` is one policy, or a folder with its versions. `address_key` keys the hash by which addresses of customers
are compared; without it none are, and only collections of one order share a visit.
"""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, StringConstraints

from libs.common.settings import ServiceSettings
from services.returns.policies import PolicyError
from services.returns.policy_files import BUNDLED, read_policies


def _right(path: Path) -> Path:
    try:
        read_policies(path)
    except PolicyError as error:
        raise ValueError(str(error)) from None
    return path


def _long(key: SecretStr) -> SecretStr:
    if len(key.get_secret_value()) < 16:
        raise ValueError("write at least 16 characters; addresses are compared by a hash under this key")
    return key


class Settings(ServiceSettings):
    policy_file: Annotated[Path, AfterValidator(_right)] = BUNDLED
    policy_look_seconds: Annotated[float, Field(gt=0, le=3600)] = 5.0
    address_key: Annotated[SecretStr, AfterValidator(_long)] | None = None
    address_retention_days: Annotated[int, Field(ge=30)] = 730
    """How long it is known where an order went: longer than anything can be reported."""
    shop_country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] = "JP"
