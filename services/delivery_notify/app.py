"""delivery_notify: notices to customers, and the dates promised in them. Composition root."""

from fastapi import FastAPI

from libs.common.config.settings import load
from libs.common.decisions.shop_calendar import ShopCalendar
from libs.common.events.customers import CustomerErasureRequested
from libs.common.events.values import Language
from libs.common.http.signed_links import open_links
from libs.common.privacy.erasure import Erasures
from libs.common.runtime.service import Service
from services.delivery_notify.channels.factory import customer_channels, staff_channel
from services.delivery_notify.domain.decide import PUBLISHES, SUBSCRIBES
from services.delivery_notify.http import bounces, notices, ops, preferences
from services.delivery_notify.pages import choice_page, sent_mail_page
from services.delivery_notify.pages.rendering import open_renderer
from services.delivery_notify.policy.notification_rules import load_rules
from services.delivery_notify.rendering import template_lint
from services.delivery_notify.rendering.links import NoticeLinks
from services.delivery_notify.rendering.renderer import Renderer
from services.delivery_notify.rendering.texts.staff import StaffTexts
from services.delivery_notify.sending.planning import ContactPolicy
from services.delivery_notify.sending.sender import Sender
from services.delivery_notify.sending.staff_sender import StaffSender
from services.delivery_notify.settings import NotifySettings
from services.delivery_notify.store.conversations import Conversations
from services.delivery_notify.store.erasure import erase, sweeps


def create_app(settings: NotifySettings | None = None) -> FastAPI:
    settings = settings or load(NotifySettings)
    service = Service("delivery_notify", settings, description=__doc__, publishes=PUBLISHES)
    calendar = ShopCalendar(settings.zone)
    secrets = [secret.get_secret_value() for secret in settings.link_secrets]
    links = NoticeLinks(settings.public_url, secrets, settings.customer_pages_url or "")
    rules = load_rules(calendar, **settings.rule_overrides())
    conversations = Conversations(rules)
    service.prepare(calendar.prepare)
    service.consume(conversations, *SUBSCRIBES)
    service.add_retention(*sweeps(settings.contact_retention_days, settings.notice_retention_days))
    service.consume(Erasures(service.name, erase), CustomerErasureRequested)
    renderer = Renderer(calendar, links, settings.shop, settings.templates_dir)
    template_lint.check(renderer)
    policy = ContactPolicy((settings.quiet_from_hour, settings.quiet_to_hour), settings.max_messages_per_day)
    channels = customer_channels(settings)
    poll, created = settings.sender_poll_seconds, conversations.take_created
    sender = Sender(service, channels, renderer, calendar, policy, poll, created)
    service.run_in_background("sender", sender.run)
    if staff := staff_channel(settings):
        texts = StaffTexts(Language(settings.staff_language), settings.sender_name)
        service.run_in_background("staff notices", StaffSender(service, *staff, texts).run)
    pages = open_renderer(settings.public_url, settings.sender_name, settings.zone)
    app = service.create_app(
        notices.router,
        choice_page.router,
        preferences.router,
        ops.router,
        bounces.router,
        sent_mail_page.router,
        pages.assets.routes(),
        untraced=("/c/", "/staff/notices/"),
    )
    app.state.choice_page = choice_page.ChoicePage(conversations, links, pages, calendar)
    app.state.sent_mail_page = sent_mail_page.SentMailPage(open_links(settings.link_secrets), renderer, pages)
    app.state.bounce_webhook_secrets = settings.bounce_webhook_secret
    return app
