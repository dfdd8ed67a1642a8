"""Settings of intake."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints

from libs.common.settings import ServiceSettings
from libs.common.signed_links import LinkSecrets


class Settings(ServiceSettings):
    """`evidence_dir` is where photos are kept: a folder that all processes of intake share."""

    evidence_dir: Path
    public_url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s/]+[^\s]*$")]
    """Where customers and staff reach this service; links to its pages begin with it."""
    link_secrets: LinkSecrets
    """The same as those of delivery_notify: its mails link to our pages, and ours to its mails."""
    photos_per_issue: Annotated[int, Field(ge=1, le=50)] = 10
