"""Settings of loyalty: those of every service, and the award rules (`AWARD_RULES`, as TOML; usually
`AWARD_RULES_FILE` names a file of it; else the `award.toml` beside this module).

Holding customers out of points is the shop's own decision, so it is off unless `HOLDOUT_SHARE` is set.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, SecretStr, StringConstraints, ValidationError, model_validator
from pydantic_settings import NoDecode

from libs.common.config.settings import ServiceSettings
from services.loyalty.domain.decision_context import Terms
from services.loyalty.domain.holdout import Holdout
from services.loyalty.policy.award_rules import AwardRules

AWARD_FILE = Path(__file__).parent / "policy" / "award.toml"


def read_rules(text: object) -> AwardRules:
    """Rules from TOML text. Raises `ValueError` that names every wrong field."""
    if isinstance(text, AwardRules):
        return text
    try:
        return AwardRules.model_validate(tomllib.loads(str(text)))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"this is not TOML: {error}") from None
    except RecursionError:
        raise ValueError("this is not TOML of ours: nested too deeply") from None
    except ValidationError as error:
        raise ValueError("; ".join(_fault(item["loc"], item["msg"]) for item in error.errors())) from None


def _fault(location: tuple[int | str, ...], message: str) -> str:
    where = ".".join(map(str, location))
    return f"{where}: {message}" if where else message


def shipped_rules() -> AwardRules:
    return read_rules(AWARD_FILE.read_text(encoding="utf-8"))


class Settings(ServiceSettings):
    award_rules: Annotated[AwardRules, NoDecode, BeforeValidator(read_rules)] = Field(default_factory=shipped_rules)
    holdout_share: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    holdout_key: SecretStr = SecretStr("")
    holdout_name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")] = "points"

    @model_validator(mode="after")
    def _check_holdout(self) -> Self:
        if self.holdout_share and len(self.holdout_key.get_secret_value()) < 16:
            raise ValueError("HOLDOUT_KEY: set 16 characters or more, so that nobody can tell who is held out")
        return self

    @property
    def holdout(self) -> Holdout:
        return Holdout(self.holdout_share, self.holdout_key.get_secret_value().encode(), self.holdout_name)

    @property
    def terms(self) -> Terms:
        return Terms(self.award_rules, self.zone, self.holdout)
