"""Settings of delivery_notify, beside those of every service and those of its ways out."""

from libs.common.signed_links import LinkSecrets
from services.delivery_notify.channels.settings import ChannelSettings, Url


class Settings(ChannelSettings):
    public_url: Url
    """Where customers reach this service; links in mails begin with it."""
    customer_pages_url: Url | None = None
    """Where customers reach intake's status page and survey; no mail links to them where it is not set."""
    link_secrets: LinkSecrets
    """The same as intake's, whose pages read the links in our mails."""
