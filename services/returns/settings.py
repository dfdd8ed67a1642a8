"""Settings of returns: those of every service, the calendar and the policy files.

`policy_file` is one policy file or a folder with versions. `address_key` is the key of the address hash; several keys
are separated by commas, the first one writes and the others are still recognized. Without a key, addresses are not
compared, and only collections of one order share a visit.
"""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import NoDecode

from libs.common.config.calendar_file import CalendarSettings
from libs.common.http.standard_webhooks import long_secrets
from services.returns.policy.policy_loader import BUNDLED_POLICY, read_policies
from services.returns.policy.policy_versions import PolicyError


def _readable_policy(path: Path) -> Path:
    try:
        read_policies(path)
    except PolicyError as error:
        raise ValueError(str(error)) from None
    return path


class ReturnsSettings(CalendarSettings):
    policy_file: Annotated[Path, AfterValidator(_readable_policy)] = BUNDLED_POLICY
    """File or folder with the versions of the return policy."""
    policy_poll_seconds: Annotated[float, Field(gt=0, le=3600)] = 5.0
    """Seconds between two checks for a changed policy."""
    address_key: Annotated[tuple[SecretStr, ...], NoDecode, long_secrets("a key")] = ()
    """Key for the digest of addresses; `new,old` during rotation."""
    address_retention_days: Annotated[int, Field(ge=30)] = 730
    """Retention of order addresses; longer than any reporting window."""
