"""Intake: accepts reports and shows where each issue is."""

from pathlib import Path

from fastapi import FastAPI
from starlette.middleware import Middleware

from libs.common.config.settings import load
from libs.common.events.anomalies import CountStaffDecided
from libs.common.events.customers import CustomerErased, CustomerErasureRequested
from libs.common.events.envelope import Payload
from libs.common.events.issues import IssueCollectionWindowChosen, IssueCustomerWrote, IssueRated
from libs.common.events.messages import MessageReplied
from libs.common.events.rejections import EventRejected
from libs.common.events.storefront import CustomerMerged
from libs.common.http.reply_addresses import ReplyAddresses
from libs.common.http.signed_links import open_links
from libs.common.privacy.customer_merges import CustomerMerges
from libs.common.privacy.erasure import Erasures
from libs.common.runtime.service import Service
from libs.common.web import CUSTOMER_ASSETS
from libs.common.web.assets import Assets
from services.intake.customer_pages import wiring as customer_pages
from services.intake.desk import wiring as desk
from services.intake.domain import decide
from services.intake.domain.projections import anomalies, change_requests, timeline
from services.intake.evidence.storage import S3Access, open_evidence
from services.intake.evidence.uploads import EvidenceUploads
from services.intake.http import erasure, issues, photos, replies, search, staff_decisions, withdrawals
from services.intake.http import insights as insight_routes
from services.intake.http.commands import IntakeCommands
from services.intake.http.fast_path import ReportFastPath
from services.intake.insights.cluster_decisions import PUBLISHES as CLUSTER_EVENTS
from services.intake.jobs.photo_cleanup import PhotoCleanup
from services.intake.jobs.wiring import add_insights
from services.intake.mail import api as mail
from services.intake.mail.receiving import MailReceiver
from services.intake.metrics import MAILS, WEBHOOKS, add_metrics
from services.intake.policy.eligibility_rules import read_rules
from services.intake.settings import IntakeSettings
from services.intake.store import order_contacts, order_lookups
from services.intake.store.anomalies import Anomalies, retention_sweep
from services.intake.store.customer_merges import move_customer
from services.intake.store.customer_messages import retention_sweep as message_sweep
from services.intake.store.erasure import erase
from services.intake.store.orders import Orders
from services.intake.store.photo_cleanup import retention_sweeps
from services.intake.store.timeline import Timeline
from services.intake.store.webhook_events import WebhookPublisher
from services.intake.storefronts import api as storefronts
from services.intake.storefronts.standard import TYPES as WEBHOOK_EVENTS

PUBLISHES: tuple[type[Payload], ...] = (
    *decide.PUBLISHES,
    *CLUSTER_EVENTS,
    *WEBHOOK_EVENTS.values(),
    CountStaffDecided,
    IssueCollectionWindowChosen,
    IssueCustomerWrote,
    IssueRated,
    MessageReplied,
    CustomerErasureRequested,
    CustomerErased,
    EventRejected,
)

EXAMPLES = Path(__file__).with_name("http") / "examples.json"


def create_app(settings: IntakeSettings | None = None) -> FastAPI:
    settings = settings or load(IntakeSettings)
    description = "Takes reports of what is wrong with an order, and shows where each of them is."
    service = Service("intake", settings, description=description, publishes=PUBLISHES)
    orders, publisher = Orders(read_rules(settings.calendars.shop_hours)), WebhookPublisher()
    commands = IntakeCommands(service, orders)
    s3 = S3Access(
        settings.evidence_s3_endpoint,
        settings.evidence_s3_region,
        settings.evidence_s3_access_key,
        settings.evidence_s3_secret_key,
    )
    evidence = EvidenceUploads(open_evidence(settings.evidence_location, s3), settings.photos_per_issue)
    service.add_aggregate(orders, *decide.SUBSCRIBES)
    service.add_aggregate(Timeline(settings.zone), *timeline.SUBSCRIBES, *change_requests.SUBSCRIBES)
    service.add_aggregate(Anomalies(), *anomalies.SUBSCRIBES)
    service.add_aggregate(Erasures(service.name, erase), CustomerErasureRequested)
    service.add_aggregate(publisher)
    service.add_aggregate(CustomerMerges(move_customer), CustomerMerged)
    service.add_retention(*retention_sweeps(settings.evidence_retention_days, settings.free_text_retention_days))
    service.add_retention(
        retention_sweep(),
        order_contacts.retention_sweep(settings.contact_retention_days),
        order_lookups.retention_sweep(),
        message_sweep(settings.free_text_retention_days),
    )
    service.run_in_background("photo cleanup", PhotoCleanup(service, evidence.files).run)
    add_insights(service)
    add_metrics(service.metrics)
    assets, links = (
        Assets(CUSTOMER_ASSETS, customer_pages.ASSETS_FOLDER, desk.ASSETS_FOLDER, made=settings.brand.style_sheet()),
        open_links(settings.link_secrets),
    )
    app = service.create_app(
        issues.router,
        photos.router,
        staff_decisions.router,
        replies.router,
        withdrawals.router,
        search.router,
        erasure.router,
        *customer_pages.ROUTERS,
        *desk.ROUTERS,
        insight_routes.router,
        storefronts.router,
        mail.router,
        assets.routes(),
        pages={"desk": "/desk"},
        uploads=(*photos.UPLOADS, *customer_pages.UPLOADS, *storefronts.PATHS, mail.PATH),
        untraced=("/desk", "/s/", "/r/", "/v/", "/u/"),
        examples=EXAMPLES,
    )
    app.state.commands, app.state.evidence, app.state.links = commands, evidence, links
    app.state.webhooks = storefronts.Webhooks(
        commands,
        publisher,
        tuple(settings.webhook_secrets),
        tuple(settings.shopify_secrets),
        service.metrics.counter(WEBHOOKS),
    )
    addresses = ReplyAddresses([secret.get_secret_value() for secret in settings.link_secrets])
    app.state.mail = MailReceiver(commands, evidence, addresses, service.metrics.counter(MAILS))
    app.state.customer_pages = customer_pages.open_customer_pages(commands, evidence, settings, links, assets)
    app.state.desk = desk.open_desk(commands, evidence, settings, links, assets)
    app.user_middleware.append(Middleware(ReportFastPath, commands))  # the last one is the innermost
    return app
