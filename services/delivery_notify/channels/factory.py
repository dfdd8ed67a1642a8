"""Which ways out there are, from the settings; nothing is connected before the first message."""

from pydantic import SecretStr

from services.delivery_notify.channels.channel import Channel
from services.delivery_notify.channels.kintone import open_kintone
from services.delivery_notify.channels.line import open_line
from services.delivery_notify.channels.settings import ChannelSettings
from services.delivery_notify.channels.slack import open_slack, open_slack_hook
from services.delivery_notify.channels.smtp import open_mail
from services.delivery_notify.channels.webhook import open_webhook
from services.delivery_notify.channels.zendesk import open_zendesk


def customer_channels(settings: ChannelSettings) -> dict[str, Channel]:
    """By the name that preferences use; in the order in which they are taken where nobody chose."""
    open_channels: dict[str, Channel] = {"email": _mail(settings)}
    if settings.line_access_token:
        open_channels["line"] = open_line(_open(settings.line_access_token), settings.line_api_url)
    if settings.sms_webhook_url:
        secrets = [secret.get_secret_value() for secret in settings.sms_webhook_secret]
        open_channels["sms"] = open_webhook("sms", settings.sms_webhook_url, secrets)
    return open_channels


def staff_channel(settings: ChannelSettings) -> tuple[Channel, str] | None:
    """The one way out to staff, and the address to write to where it needs one."""
    match settings.staff_channel:
        case "email":
            return _mail(settings), settings.staff_mail or ""
        case "slack" if settings.slack_webhook_url:
            return open_slack_hook(_open(settings.slack_webhook_url)), ""
        case "slack":
            token, channel = _open(settings.slack_token), settings.slack_channel or ""
            return open_slack(token, channel, settings.slack_api_url), channel
        case "zendesk":
            token, email = _open(settings.zendesk_token), settings.zendesk_email or ""
            return open_zendesk(settings.zendesk_url or "", email, token), ""
        case "kintone":
            token = _open(settings.kintone_token)
            return open_kintone(settings.kintone_url or "", settings.kintone_app or 0, token), ""
        case _:
            return None


def _mail(settings: ChannelSettings) -> Channel:
    return open_mail(settings.smtp_url.get_secret_value(), settings.smtp_connections, settings.mail_sender)


def _open(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""
