"""delivery_notify: what the customer knows, and when they learn it. Wiring only."""

from fastapi import FastAPI

from libs.common.events import issues, storefront
from libs.common.events.notices import CustomerDecided, NoticeFailed, NoticeSent, NoticeSuppressed
from libs.common.service import Service
from libs.common.settings import load
from libs.common.shop_calendar import ShopCalendar
from services.delivery_notify import api, page
from services.delivery_notify.channels.smtp import open_mail
from services.delivery_notify.links import Links
from services.delivery_notify.render import Renderer
from services.delivery_notify.sender import Sender
from services.delivery_notify.settings import Settings
from services.delivery_notify.store import Conversations

ORDERS = (
    storefront.OrderPlaced,
    storefront.OrderPromiseChanged,
    storefront.OrderDelayed,
    storefront.OrderShipped,
    storefront.OrderDelivered,
    storefront.OrderCancelled,
    storefront.PreorderProgressed,
)
ISSUES = (
    issues.IssueAccepted,
    issues.IssueRejected,
    issues.IssueReviewRequested,
    issues.IssueDetailsRequested,
    issues.IssueReplacementOrdered,
    issues.IssueReplacementPromised,
    issues.IssueReplacementDelayed,
    issues.IssueReplacementShipped,
    issues.IssueChoiceRequested,
    issues.IssueCollectionRequested,
    issues.IssueCollectionBooked,
    issues.IssueItemReceived,
    issues.IssueRefundRequested,
    issues.IssueRefunded,
    issues.IssueResolved,
    issues.IssueReopened,
    issues.IssueCancelled,
)
GIVES = (NoticeSent, NoticeFailed, NoticeSuppressed, CustomerDecided)


def create_app(settings: Settings | None = None) -> FastAPI:
    settings = settings or load(Settings)
    service = Service("delivery_notify", settings, description=__doc__, gives=GIVES)
    calendar = ShopCalendar(settings.zone)
    links = Links(settings.public_url, [secret.get_secret_value() for secret in settings.link_secrets])
    conversations = Conversations(calendar)
    service.consume(conversations, *ORDERS, *ISSUES)
    channel = open_mail(settings.smtp_url.get_secret_value(), settings.smtp_connections, settings.mail_sender)
    renderer = Renderer(calendar, links, settings.sender_name)
    service.run_in_background("sender", Sender(service, channel, renderer).run)
    return service.create_app(api.routes(service), page.routes(service, conversations, links, settings.sender_name))
