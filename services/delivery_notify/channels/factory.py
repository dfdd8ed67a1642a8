"""Factory of the configured channels. No connection is opened before the first message."""

from pydantic import SecretStr

from libs.common.http.reply_addresses import ReplyAddresses
from services.delivery_notify.channels.channel import Channel
from services.delivery_notify.channels.kintone import kintone_channel
from services.delivery_notify.channels.line import line_channel
from services.delivery_notify.channels.settings import ChannelSettings
from services.delivery_notify.channels.slack import slack_bot_channel, slack_webhook_channel
from services.delivery_notify.channels.smtp import mail_channel
from services.delivery_notify.channels.webhook import webhook_channel
from services.delivery_notify.channels.zendesk import zendesk_channel


def customer_channels(settings: ChannelSettings, replies: ReplyAddresses | None = None) -> dict[str, Channel]:
    """Return the channels by their name in preferences, in the default order of preference.

    `replies` gives the addresses for answers to mails; without it answers go to one mailbox.
    """
    channels: dict[str, Channel] = {"email": _mail_channel(settings, replies)}
    if settings.line_access_token:
        channels["line"] = line_channel(_secret_value(settings.line_access_token), settings.line_api_url)
    if settings.sms_webhook_url:
        secrets = [secret.get_secret_value() for secret in settings.sms_webhook_secret]
        channels["sms"] = webhook_channel("sms", settings.sms_webhook_url, secrets)
    return channels


def staff_channel(settings: ChannelSettings) -> tuple[Channel, str] | None:
    """Return the channel for staff notices and its recipient ("" where the channel needs none)."""
    match settings.staff_channel:
        case "email":
            return _mail_channel(settings), settings.staff_mailbox
        case "slack" if settings.slack_webhook_url:
            return slack_webhook_channel(_secret_value(settings.slack_webhook_url)), ""
        case "slack":
            token, channel = _secret_value(settings.slack_token), settings.slack_channel or ""
            return slack_bot_channel(token, channel, settings.slack_api_url), channel
        case "zendesk":
            token, email = _secret_value(settings.zendesk_token), settings.zendesk_email or ""
            return zendesk_channel(settings.zendesk_url or "", email, token), ""
        case "kintone":
            token = _secret_value(settings.kintone_token)
            return kintone_channel(settings.kintone_url or "", settings.kintone_app or 0, token), ""
        case _:
            return None


def _mail_channel(settings: ChannelSettings, replies: ReplyAddresses | None = None) -> Channel:
    url, connections = settings.smtp_url.get_secret_value(), settings.smtp_connections
    return mail_channel(url, connections, settings.sender_mailbox, settings.reply_mailbox, replies)


def _secret_value(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""
