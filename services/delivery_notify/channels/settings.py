"""Settings of the ways out: which there are, and what is needed for each. Addresses come from here and nowhere else."""

from email.utils import parseaddr
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, model_validator

from libs.common.config.settings import ServiceSettings
from libs.common.http.standard_webhooks import WebhookSecrets

Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/]+[^\s]*$")]


def _check_smtp_url(url: SecretStr) -> SecretStr:
    parts = urlsplit(url.get_secret_value())
    if parts.scheme == "discard" or (parts.scheme in ("smtp", "smtps") and parts.hostname):
        return url
    raise ValueError("write smtp(s)://[user:password@]host:port[?starttls][&ca=file], or discard:// to send nothing")


def _check_mail_address(value: str) -> str:
    if "@" not in parseaddr(value)[1]:
        raise ValueError("write a mail address, with or without a name: Shop <shop@example.com>")
    return value


StaffChannel = Literal["none", "email", "slack", "zendesk", "kintone"]

_REQUIRED_BY_CHANNEL = {
    "email": ("staff_mail",),
    "zendesk": ("zendesk_url", "zendesk_email", "zendesk_token"),
    "kintone": ("kintone_url", "kintone_app", "kintone_token"),
}


class ChannelSettings(ServiceSettings):
    smtp_url: Annotated[SecretStr, AfterValidator(_check_smtp_url)]
    mail_from: Annotated[str, AfterValidator(_check_mail_address)]
    smtp_connections: Annotated[int, Field(ge=1, le=50)] = 4
    shop_name: Annotated[str, StringConstraints(min_length=1, max_length=80)] | None = None
    """What the shop is called in notices; the name in MAIL_FROM unless given."""

    line_access_token: SecretStr | None = None
    line_api_url: Url = "https://api.line.me"
    sms_webhook_url: Url | None = None
    sms_webhook_secret: WebhookSecrets = ()
    """Messages are signed with each of them, so that the gateway may change over whenever it likes."""
    quiet_from_hour: Annotated[int, Field(ge=0, le=23)] = 21
    """From this shop hour on, LINE and SMS are silent; until `quiet_to_hour`. Equal hours: never."""
    quiet_to_hour: Annotated[int, Field(ge=0, le=23)] = 8
    max_messages_per_day: Annotated[int, Field(ge=1, le=100)] = 6
    """How many messages a customer gets in 24 hours before what can wait is kept for the next morning."""

    staff_channel: StaffChannel = "none"
    staff_language: Literal["ja", "en"] = "ja"
    staff_mail: Annotated[str, AfterValidator(_check_mail_address)] | None = None
    slack_webhook_url: SecretStr | None = None
    slack_token: SecretStr | None = None
    slack_channel: str | None = None
    slack_api_url: Url = "https://slack.com/api"
    zendesk_url: Url | None = None
    zendesk_email: str | None = None
    zendesk_token: SecretStr | None = None
    kintone_url: Url | None = None
    kintone_app: Annotated[int, Field(ge=1)] | None = None
    kintone_token: SecretStr | None = None
    bounce_webhook_secret: WebhookSecrets = ()
    """What a mail provider signs its reports of bounces and complaints with; any of several."""

    @model_validator(mode="after")
    def _check_complete(self) -> Self:
        if (self.sms_webhook_url is None) != (not self.sms_webhook_secret):
            raise ValueError("SMS_WEBHOOK_URL and SMS_WEBHOOK_SECRET: give both, or neither")
        missing = [
            name.upper() for name in _REQUIRED_BY_CHANNEL.get(self.staff_channel, ()) if getattr(self, name) is None
        ]
        if missing:
            raise ValueError(f"STAFF_CHANNEL is {self.staff_channel}: give {', '.join(missing)} as well")
        hook, bot = self.slack_webhook_url, self.slack_token and self.slack_channel
        if self.staff_channel == "slack" and not hook and not bot:
            raise ValueError("STAFF_CHANNEL is slack: give SLACK_WEBHOOK_URL, or SLACK_TOKEN and SLACK_CHANNEL")
        return self

    @property
    def sender_name(self) -> str:
        name, address = parseaddr(self.mail_from)
        return self.shop_name or name or address

    @property
    def sender_mailbox(self) -> tuple[str, str]:
        """The name and the address that mails come from."""
        return self.sender_name, parseaddr(self.mail_from)[1]
