"""delivery_notify: notices to customers, and the dates promised in them. Composition root."""

from pathlib import Path

from fastapi import FastAPI

from libs.common.config.settings import load
from libs.common.events.customers import CustomerConsentChanged, CustomerErasureRequested
from libs.common.events.storefront import CustomerMerged
from libs.common.http.signed_links import open_links
from libs.common.privacy.customer_merges import CustomerMerges
from libs.common.privacy.erasure import Erasures
from libs.common.runtime.service import Service
from libs.common.web.brand import Brand
from services.delivery_notify.domain.decide import OVERDUE, PUBLISHES, SUBSCRIBES
from services.delivery_notify.http import (
    bounces,
    consents,
    lateness,
    notices,
    ops,
    preferences,
    promise_accuracy,
    promise_integrity,
)
from services.delivery_notify.http.pages import choice_page, sent_mail_page, unsubscribe_page
from services.delivery_notify.http.pages.rendering import open_renderer
from services.delivery_notify.metrics import add_metrics
from services.delivery_notify.policy.notification_rules import load_rules
from services.delivery_notify.rendering import template_lint
from services.delivery_notify.rendering.links import InertNoticeLinks, NoticeLinks
from services.delivery_notify.rendering.renderer import Renderer
from services.delivery_notify.rendering.shop import Shop
from services.delivery_notify.sending.lateness_watch import LatenessWatch
from services.delivery_notify.sending.wiring import add_senders
from services.delivery_notify.settings import NotifySettings
from services.delivery_notify.store import preferences as preferences_store
from services.delivery_notify.store.consents import Consents
from services.delivery_notify.store.conversations import Conversations
from services.delivery_notify.store.customer_merges import move_customer
from services.delivery_notify.store.erasure import erase, sweeps

EXAMPLES = Path(__file__).with_name("http") / "examples.json"


def create_app(settings: NotifySettings | None = None) -> FastAPI:
    settings = settings or load(NotifySettings)
    service = Service("delivery_notify", settings, description=__doc__, publishes=PUBLISHES)
    calendars = settings.calendars
    calendar = calendars.shop
    secrets = [secret.get_secret_value() for secret in settings.link_secrets]
    addresses = (settings.public_url, secrets, settings.customer_pages_url or "")
    links = NoticeLinks(*addresses)
    rules = load_rules(calendars, **settings.rule_overrides())
    conversations = Conversations(rules, advertises=bool(settings.shop_seller))
    service.prepare(calendars.prepare)
    service.at_start(preferences_store.key_digests)
    service.review_dates_on_change(conversations.name, calendars.fingerprint, OVERDUE)
    service.add_aggregate(conversations, *SUBSCRIBES)
    stated = Consents()
    service.add_aggregate(stated, CustomerConsentChanged)
    service.add_retention(
        *sweeps(settings.contact_retention_days, settings.notice_retention_days, settings.free_text_retention_days)
    )
    service.add_aggregate(Erasures(service.name, erase), CustomerErasureRequested)
    service.add_aggregate(CustomerMerges(move_customer), CustomerMerged)
    shop = Shop(
        settings.sender_name,
        settings.shop_seller,
        settings.shop_person,
        settings.shop_contact,
        settings.shop_url or "",
        settings.shop_logo_url or "",
        settings.shop_color,
    )
    renderer = Renderer(calendar, links, shop, settings.templates_dir)
    preview = Renderer(calendar, InertNoticeLinks(*addresses), shop, settings.templates_dir)
    template_lint.check(renderer)
    add_senders(service, settings, renderer, calendar, conversations, secrets)
    service.run_in_background("lateness watch", LatenessWatch(service, rules).run)
    pages = open_renderer(settings.public_url, Brand(shop.name, shop.logo_url, shop.color), settings.zone)
    add_metrics(service.metrics, settings.zone)
    app = service.create_app(
        notices.router,
        choice_page.router,
        unsubscribe_page.router,
        preferences.router,
        consents.router,
        promise_integrity.router,
        promise_accuracy.router,
        lateness.router,
        ops.router,
        bounces.router,
        sent_mail_page.router,
        pages.assets.routes(),
        signed=bounces.SIGNED,
        untraced=("/c/", "/staff/notices/"),
        examples=EXAMPLES,
    )
    app.state.choice_page = choice_page.ChoicePage(conversations, links, pages, calendar)
    app.state.consents = stated
    app.state.unsubscribe_page = unsubscribe_page.UnsubscribePage(stated, links, pages)
    app.state.sent_mail_page = sent_mail_page.SentMailPage(open_links(settings.link_secrets), preview, pages)
    app.state.bounce_webhook_secrets = settings.bounce_webhook_secret
    return app
