"""Settings of partners: the common ones, the partners with their rights, retention and outgoing webhooks.

`PARTNERS` is TOML text; usually `PARTNERS_FILE` names a file of it.
"""

from ipaddress import ip_network
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

from libs.common.config.settings import ServiceSettings
from services.partners.domain.webhook_urls import Network
from services.partners.policy.partner_terms import PartnerDirectory, parse_directory


def _parse_networks(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return tuple(ip_network(part.strip()) for part in value.split(",") if part.strip())
    except ValueError as error:
        raise ValueError(f"{error}; write networks such as 10.0.0.0/8, separated by commas") from None


class PartnersSettings(ServiceSettings):
    partners: Annotated[PartnerDirectory, NoDecode, BeforeValidator(parse_directory)] = Field(
        default_factory=PartnerDirectory
    )
    """Partners as TOML text: `[partners.<name>]` with `role`, `key_sha256` and optionally `sends` and `receives`."""
    feed_retention_days: Annotated[int, Field(ge=1, le=30)] = 14
    """Days for which events without personal data are kept for partners."""
    given_retention_days: Annotated[int, Field(ge=30)] = 730
    """Days for which the ids that a partner was given are kept; later it can no longer report about them."""
    webhook_private_networks: Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_parse_networks)] = ()
    """Networks beside the public internet that webhooks may be sent to, with commas between them; unset: none."""
    webhook_timeout_seconds: Annotated[float, Field(gt=0, le=30)] = 15.0
    """Seconds for which an answer to a webhook is awaited."""
    webhook_log_days: Annotated[int, Field(ge=1, le=90)] = 14
    """Days for which attempts to send a webhook are kept, with the beginning of the answer."""
    webhook_pause_after_hours: Annotated[int, Field(ge=1)] = 72
    """Hours without any success after which a failing webhook subscription is paused."""
