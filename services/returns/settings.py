"""Settings of returns: those of every service, the policy, and the shop's country for its holidays."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from libs.common.settings import ServiceSettings
from services.returns.policy import BUNDLED, PolicyError, read_policy


def _right(path: Path) -> Path:
    try:
        read_policy(path)
    except PolicyError as error:
        raise ValueError(str(error)) from None
    return path


class Settings(ServiceSettings):
    policy_file: Annotated[Path, AfterValidator(_right)] = BUNDLED
    shop_country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] = "JP"
