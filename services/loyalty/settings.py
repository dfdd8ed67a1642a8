"""Settings of loyalty: the common ones, the award rules and the holdout experiment.

`AWARD_RULES` is TOML text; usually `AWARD_RULES_FILE` names a file of it. Default: `policy/award.toml`. The holdout is
off unless `HOLDOUT_SHARE` is set.
"""

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import (
    BeforeValidator,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import NoDecode

from libs.common.config.settings import ServiceSettings
from libs.common.events.faults import fault_texts
from services.loyalty.domain.holdout import Holdout
from services.loyalty.domain.ledger_rules import LedgerRules
from services.loyalty.policy.award_rules import AwardRules

AWARD_FILE = Path(__file__).parent / "policy" / "award.toml"


def parse_rules(text: object) -> AwardRules:
    """Parse rules from TOML text. Raises `ValueError` that names every invalid field."""
    if isinstance(text, AwardRules):
        return text
    try:
        return AwardRules.model_validate(tomllib.loads(str(text)))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"not TOML: {error}") from None
    except RecursionError:
        raise ValueError("not valid rules: nested too deeply; see award.toml for the structure") from None
    except ValidationError as error:
        raise ValueError("; ".join(fault_texts(error, ""))) from None


def default_rules() -> AwardRules:
    return parse_rules(AWARD_FILE.read_text(encoding="utf-8"))


class LoyaltySettings(ServiceSettings):
    award_rules: Annotated[AwardRules, NoDecode, BeforeValidator(parse_rules)] = Field(default_factory=default_rules)
    """Award rules as TOML text, in the form of `services/loyalty/policy/award.toml`."""
    holdout_share: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Share of customers in the control arm of the holdout experiment; 0 disables it."""
    holdout_key: SecretStr = SecretStr("")
    """Secret of the assignment to arms, at least 16 characters; a new key assigns all customers again."""
    holdout_name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")] = "points"
    """Name of the experiment; a new name starts a new one."""

    @field_validator("holdout_key")
    @classmethod
    def _is_long(cls, value: SecretStr, others: ValidationInfo) -> SecretStr:
        """Checked per field, since a check of the whole model would not run beside another fault."""
        if others.data.get("holdout_share") and len(value.get_secret_value()) < 16:
            raise ValueError("too short; set at least 16 characters, so that arms cannot be guessed")
        return value

    @property
    def holdout(self) -> Holdout:
        return Holdout(self.holdout_share, self.holdout_key.get_secret_value().encode(), self.holdout_name)

    @property
    def ledger_rules(self) -> LedgerRules:
        return LedgerRules(self.award_rules, self.zone, self.holdout)
