"""Settings of the channels and of sending by them. Addresses of providers come from here only."""

import re
from email.utils import parseaddr
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, model_validator

from libs.common.config.calendar_file import CalendarSettings
from libs.common.config.settings import Url
from libs.common.events.values import Language
from libs.common.events.values.texts import mail_address
from libs.common.http.standard_webhooks import WebhookSecrets


def _check_smtp_url(url: SecretStr) -> SecretStr:
    parts = urlsplit(url.get_secret_value())
    if parts.scheme == "discard" or (parts.scheme in ("smtp", "smtps") and parts.hostname):
        return url
    raise ValueError("must be smtp(s)://[user:password@]host:port[?starttls][&ca=file], or discard:// to send nothing")


def _check_mail_address(value: str) -> str:
    if "@" not in parseaddr(value)[1]:
        raise ValueError("must be a mail address, with or without a name: Shop <shop@example.com>")
    return value


def _check_domain(value: str) -> str:
    domain = mail_address(f"reply@{value}")
    if domain is None:
        raise ValueError("must be a domain that receives mail, such as reply.shop.example")
    return domain.rpartition("@")[2]


def _address_of(mailbox: str) -> str:
    """Return the address of a mailbox, its domain in ASCII."""
    address = parseaddr(mailbox)[1]
    return mail_address(address) or address


def _is_unread(mailbox: str) -> bool:
    local_part = _address_of(mailbox).rpartition("@")[0].partition("+")[0]
    return bool(_UNREAD.fullmatch(local_part))


_UNREAD = re.compile(r"(no|do-?not|dont)[-_.]?reply|bounces?|mailer-daemon", re.IGNORECASE)
"""Local parts of mailboxes that nobody reads, without what follows a `+`."""

StaffChannel = Literal["none", "email", "slack", "zendesk", "kintone"]

_REQUIRED_BY_CHANNEL = {
    "email": ("staff_mail",),
    "zendesk": ("zendesk_url", "zendesk_email", "zendesk_token"),
    "kintone": ("kintone_url", "kintone_app", "kintone_token"),
}


class ChannelSettings(CalendarSettings):
    smtp_url: Annotated[SecretStr, AfterValidator(_check_smtp_url)]
    """Mail server, `smtp(s)://[user:password@]host:port[?starttls]`; `discard://` sends nothing."""
    mail_from: Annotated[str, AfterValidator(_check_mail_address)]
    """Sender of every mail, `Name <address>`."""
    reply_to: Annotated[str, AfterValidator(_check_mail_address)] | None = None
    """Mailbox for answers to mails, `Name <address>`; default: the sender. Mails ask for replies, so it is required
    where nobody reads the sender's (`no-reply@...`)."""
    mail_reply_domain: Annotated[str, AfterValidator(_check_domain)] | None = None
    """Domain whose mail is passed to intake (`POST /v1/mail`): each mail about an issue or an order then has an address
    of its own for answers, `reply+...@domain`. Unset: answers go to REPLY_TO, and people read them."""
    smtp_connections: Annotated[int, Field(ge=1, le=50)] = 4
    """Connections to the mail server."""
    shop_name: Annotated[str, StringConstraints(min_length=1, max_length=80)] | None = None
    """Shop name in notices; default: the name in MAIL_FROM."""

    line_access_token: SecretStr | None = None
    """Channel access token of the shop's LINE official account; unset: no LINE."""
    line_api_url: Url = "https://api.line.me"
    """Base URL of the LINE Messaging API."""
    sms_webhook_url: Url | None = None
    """URL that receives each SMS as a signed Standard Webhook; unset: no SMS."""
    sms_webhook_secret: WebhookSecrets = ()
    """Each secret adds a signature, so that the gateway can rotate its secret at any time."""
    quiet_from_hour: Annotated[int, Field(ge=0, le=23)] = 21
    """First shop hour of the quiet hours for LINE and SMS, which end at `quiet_to_hour`. Equal hours: none."""
    quiet_to_hour: Annotated[int, Field(ge=0, le=23)] = 8
    """Hour at which LINE and SMS may be sent again."""
    max_messages_per_day: Annotated[int, Field(ge=1, le=100)] = 6
    """Messages per customer in 24 hours; above that, notices that can wait are deferred to the next morning."""
    order_history_complete: bool = False
    """All earlier orders of all customers were sent to `storefront.orders`: mails may then count a customer's orders
    where the shop does not state `purchase_count`."""
    sender_poll_seconds: Annotated[float, Field(gt=0, le=10)] = 0.25
    """Interval at which the sender polls for due notices."""

    staff_channel: StaffChannel = "none"
    """Channel for staff notices: `none`, `email`, `slack`, `zendesk` or `kintone`."""
    staff_language: Language = Language.JA
    """Language of staff notices, such as `ja`, `en` or `de`."""
    staff_mail: Annotated[str, AfterValidator(_check_mail_address)] | None = None
    """Address for staff notices by mail."""
    slack_webhook_url: SecretStr | None = None
    """Slack incoming webhook."""
    slack_token: SecretStr | None = None
    """Slack bot token, with `SLACK_CHANNEL`, instead of a webhook."""
    slack_channel: str | None = None
    """Slack channel for the bot token."""
    slack_api_url: Url = "https://slack.com/api"
    """Base URL of the Slack API."""
    zendesk_url: Url | None = None
    """Base URL of the Zendesk account."""
    zendesk_email: str | None = None
    """Zendesk user that creates tickets."""
    zendesk_token: SecretStr | None = None
    """Zendesk API token."""
    kintone_url: Url | None = None
    """Base URL of the kintone account."""
    kintone_app: Annotated[int, Field(ge=1)] | None = None
    """Number of the kintone app that receives records."""
    kintone_token: SecretStr | None = None
    """API token of the kintone app."""
    bounce_webhook_secret: WebhookSecrets = ()
    """Secrets with which a mail provider signs its bounce and complaint webhooks; any of several."""

    @model_validator(mode="after")
    def _check_complete(self) -> Self:
        if (self.sms_webhook_url is None) != (not self.sms_webhook_secret):
            raise ValueError("SMS_WEBHOOK_URL and SMS_WEBHOOK_SECRET: set both or neither")
        if self.reply_to is None and _is_unread(self.mail_from):
            raise ValueError("REPLY_TO: mails ask for replies, and nobody reads MAIL_FROM; set the shop's mailbox")
        missing = [
            name.upper() for name in _REQUIRED_BY_CHANNEL.get(self.staff_channel, ()) if getattr(self, name) is None
        ]
        if missing:
            raise ValueError(f"STAFF_CHANNEL={self.staff_channel} requires {', '.join(missing)}")
        webhook, bot = self.slack_webhook_url, self.slack_token and self.slack_channel
        if self.staff_channel == "slack" and not webhook and not bot:
            raise ValueError("STAFF_CHANNEL=slack requires SLACK_WEBHOOK_URL, or SLACK_TOKEN and SLACK_CHANNEL")
        return self

    @property
    def sender_name(self) -> str:
        name, address = parseaddr(self.mail_from)
        return self.shop_name or name or address

    @property
    def sender_mailbox(self) -> tuple[str, str]:
        """Name and address of the mail sender."""
        return self.sender_name, _address_of(self.mail_from)

    @property
    def reply_mailbox(self) -> tuple[str, str] | None:
        """Name (of the shop by default) and address for answers; None for those of the sender."""
        if self.reply_to is None:
            return None
        return parseaddr(self.reply_to)[0] or self.sender_name, _address_of(self.reply_to)

    @property
    def staff_mailbox(self) -> str:
        """Address of the staff, without the name that the setting may have."""
        return _address_of(self.staff_mail or "")
