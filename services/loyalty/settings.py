"""Settings of loyalty: those of every service, and the award rules (`AWARD_RULES`, as TOML; usually
`AWARD_RULES_FILE` names a file of it; else the `award.toml` beside this module)."""

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import NoDecode

from libs.common.settings import ServiceSettings
from services.loyalty.rules import AwardRules

AWARD_FILE = Path(__file__).with_name("award.toml")


def read_rules(text: object) -> AwardRules:
    """Rules from TOML text. Raises `ValueError` that names every wrong field."""
    if isinstance(text, AwardRules):
        return text
    try:
        return AwardRules.model_validate(tomllib.loads(str(text)))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"this is not TOML: {error}") from None
    except ValidationError as error:
        raise ValueError("; ".join(_fault(item["loc"], item["msg"]) for item in error.errors())) from None


def _fault(location: tuple[int | str, ...], message: str) -> str:
    where = ".".join(map(str, location))
    return f"{where}: {message}" if where else message


def shipped_rules() -> AwardRules:
    return read_rules(AWARD_FILE.read_text(encoding="utf-8"))


class Settings(ServiceSettings):
    award_rules: Annotated[AwardRules, NoDecode, BeforeValidator(read_rules)] = Field(default_factory=shipped_rules)
