"""The rules of intake as data: `windows.toml`, read and checked once at start."""

import tomllib
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from libs.common.events.values import Reason

DEFAULT_FILE = Path(__file__).with_name("windows.toml")


class WindowsError(ValueError):
    """`windows.toml` is wrong; the message names the entry and what would be right."""


class Pieces(StrEnum):
    DELIVERED = "delivered"
    SHIPPED = "shipped"


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Window(_Data):
    """Until how many days after delivery a reason may be reported, and about which pieces."""

    days: Annotated[int, Field(ge=1, le=3660)]
    pieces: Pieces


class Rules(_Data):
    """What decides whether a report is taken. `zone` is the shop's: days are counted there."""

    zone: ZoneInfo
    waiting_minutes: Annotated[int, Field(ge=1, le=1440)]
    windows: dict[Reason, Window]

    @property
    def patience(self) -> timedelta:
        """How long a report waits for its order."""
        return timedelta(minutes=self.waiting_minutes)

    @model_validator(mode="after")
    def _every_reason_has_a_window(self) -> "Rules":
        missing = [reason.value for reason in Reason if reason not in self.windows]
        if missing:
            raise ValueError(f"add a table [windows.{missing[0]}] (missing: {', '.join(missing)})")
        return self


def read_rules(zone: ZoneInfo, file: Path = DEFAULT_FILE) -> Rules:
    """Raises `WindowsError` where the file is not as it should be."""
    try:
        return Rules(zone=zone, **tomllib.loads(file.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise WindowsError(f"{file.name}: {where or 'windows'}: {first['msg']}") from error
    except (tomllib.TOMLDecodeError, TypeError) as error:
        raise WindowsError(f"{file.name}: {error}") from error
