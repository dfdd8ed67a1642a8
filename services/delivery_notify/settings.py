"""Settings of delivery_notify, beside those of every service."""

from email.utils import parseaddr
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, StringConstraints
from pydantic_settings import NoDecode

from libs.common.settings import ServiceSettings


def _smtp_or_discard(url: SecretStr) -> SecretStr:
    parts = urlsplit(url.get_secret_value())
    if parts.scheme == "discard" or (parts.scheme == "smtp" and parts.hostname):
        return url
    raise ValueError("write smtp://[user:password@]host:port[?starttls], or discard:// to send nothing")


def _secrets(value: object) -> object:
    if not isinstance(value, str):
        return value
    secrets = tuple(filter(None, (part.strip() for part in value.split(","))))
    if not secrets or any(len(secret) < 16 for secret in secrets):
        raise ValueError("write one or more secrets of 16 characters or more, separated by commas, the newest first")
    return secrets


def _mail_address(value: str) -> str:
    if "@" not in parseaddr(value)[1]:
        raise ValueError("write a mail address, with or without a name: Shop <shop@example.com>")
    return value


class Settings(ServiceSettings):
    smtp_url: Annotated[SecretStr, AfterValidator(_smtp_or_discard)]
    mail_from: Annotated[str, AfterValidator(_mail_address)]
    public_url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s/]+[^\s]*$")]
    """Where customers reach this service; links in mails begin with it."""
    link_secrets: Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_secrets)]
    """The first signs; all are accepted, so that a secret is rotated without breaking links already sent."""
    smtp_connections: Annotated[int, Field(ge=1, le=50)] = 4
    shop_name: Annotated[str, StringConstraints(min_length=1, max_length=80)] | None = None
    """What the shop is called in notices; the name in MAIL_FROM unless given."""

    @property
    def sender_name(self) -> str:
        name, address = parseaddr(self.mail_from)
        return self.shop_name or name or address
