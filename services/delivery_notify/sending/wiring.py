"""Wiring of sending: the loops that send notices to customers and to staff, with their channels."""

from collections.abc import Sequence

from libs.common.decisions.shop_calendar import ShopCalendar
from libs.common.http.reply_addresses import ReplyAddresses
from libs.common.runtime.service import Service
from services.delivery_notify.channels.factory import customer_channels, staff_channel
from services.delivery_notify.channels.settings import ChannelSettings
from services.delivery_notify.rendering.renderer import Renderer
from services.delivery_notify.rendering.texts.staff import StaffTexts
from services.delivery_notify.sending.planning import ContactPolicy
from services.delivery_notify.sending.sender import Sender
from services.delivery_notify.sending.staff_sender import StaffSender
from services.delivery_notify.store.conversations import Conversations


def add_senders(
    service: Service,
    settings: ChannelSettings,
    renderer: Renderer,
    calendar: ShopCalendar,
    conversations: Conversations,
    link_secrets: Sequence[str] = (),
) -> None:
    """Add the loops; answers to mails have signed addresses where the settings name a domain for them."""
    replies = ReplyAddresses(link_secrets, settings.mail_reply_domain) if settings.mail_reply_domain else None
    quiet_hours = settings.quiet_from_hour, settings.quiet_to_hour
    policy = ContactPolicy(quiet_hours, settings.max_messages_per_day, settings.order_history_complete)
    channels, created = customer_channels(settings, replies), conversations.take_created
    sender = Sender(service, channels, renderer, calendar, policy, settings.sender_poll_seconds, created)
    service.run_in_background("sender", sender.run)
    if staff := staff_channel(settings):
        texts = StaffTexts(settings.staff_language, settings.sender_name)
        service.run_in_background("staff notices", StaffSender(service, *staff, texts).run)
