"""Settings of intake."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from libs.common.settings import ServiceSettings


class Settings(ServiceSettings):
    """`evidence_dir` is where photos are kept: a folder that all processes of intake share."""

    evidence_dir: Path
    photos_per_issue: Annotated[int, Field(ge=1, le=50)] = 10
