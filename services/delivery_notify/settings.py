"""Settings of delivery_notify, beside those of every service."""

from email.utils import parseaddr
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, StringConstraints

from libs.common.settings import ServiceSettings
from libs.common.signed_links import LinkSecrets


def _smtp_or_discard(url: SecretStr) -> SecretStr:
    parts = urlsplit(url.get_secret_value())
    if parts.scheme == "discard" or (parts.scheme == "smtp" and parts.hostname):
        return url
    raise ValueError("write smtp://[user:password@]host:port[?starttls], or discard:// to send nothing")


def _mail_address(value: str) -> str:
    if "@" not in parseaddr(value)[1]:
        raise ValueError("write a mail address, with or without a name: Shop <shop@example.com>")
    return value


class Settings(ServiceSettings):
    smtp_url: Annotated[SecretStr, AfterValidator(_smtp_or_discard)]
    mail_from: Annotated[str, AfterValidator(_mail_address)]
    public_url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s/]+[^\s]*$")]
    """Where customers reach this service; links in mails begin with it."""
    customer_pages_url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s/]+[^\s]*$")] | None = None
    """Where customers reach intake's status page and survey; no mail links to them where it is not set."""
    link_secrets: LinkSecrets
    """The same as intake's, whose pages read the links in our mails."""
    smtp_connections: Annotated[int, Field(ge=1, le=50)] = 4
    shop_name: Annotated[str, StringConstraints(min_length=1, max_length=80)] | None = None
    """What the shop is called in notices; the name in MAIL_FROM unless given."""

    @property
    def sender_name(self) -> str:
        name, address = parseaddr(self.mail_from)
        return self.shop_name or name or address

    @property
    def mail_sender(self) -> tuple[str, str]:
        """The name and the address that mails come from."""
        return self.sender_name, parseaddr(self.mail_from)[1]
