"""Intake: was this accepted, and where is it now?"""

from fastapi import FastAPI
from starlette.middleware import Middleware

from libs.common.config.settings import load
from libs.common.events.customers import CustomerErased, CustomerErasureRequested
from libs.common.events.issues import (
    IssueAccepted,
    IssueCollectionWindowChosen,
    IssueDetailsProvided,
    IssueDetailsRequested,
    IssueRated,
    IssueRejected,
    IssueReported,
    IssueReviewRequested,
    IssueStaffDecided,
    IssueStaffDecisionApplied,
)
from libs.common.events.storefront import IssueSubmitted, OrderCancelled, OrderDelivered, OrderPlaced, OrderShipped
from libs.common.http.signed_links import open_links
from libs.common.privacy.erasure import Erasures
from libs.common.runtime.service import Service
from libs.common.web.assets import Assets
from services.intake.customer_pages import wiring as customer_pages
from services.intake.desk import wiring as desk
from services.intake.evidence.storage import open_evidence
from services.intake.evidence.uploads import Evidence
from services.intake.http import erasure as erasure_routes
from services.intake.http import issues as api
from services.intake.http import photos, search, staff_decisions
from services.intake.http.commands import IntakeCommands
from services.intake.http.fast_path import ReportFastPath
from services.intake.insights import routes as insight_routes
from services.intake.insights.cluster_decisions import PUBLISHES as CLUSTER_EVENTS
from services.intake.insights.wiring import add_insights
from services.intake.policy.eligibility_rules import read_rules
from services.intake.projections import timeline
from services.intake.settings import Settings
from services.intake.store import photo_cleanup
from services.intake.store.erasure import erase
from services.intake.store.orders import Orders, Timeline
from services.intake.storefronts.api import PATHS as WEBHOOKS
from services.intake.storefronts.api import storefronts
from services.intake.storefronts.standard import TYPES
from services.intake.web import ASSETS_FOLDER


def create_app(settings: Settings | None = None) -> FastAPI:
    settings = settings or load(Settings)
    service = Service(
        "intake",
        settings,
        description="Takes reports of what is wrong with an order, and shows where each of them is.",
        publishes=(
            IssueReported,
            IssueAccepted,
            IssueRejected,
            IssueDetailsRequested,
            IssueDetailsProvided,
            IssueReviewRequested,
            IssueStaffDecided,
            IssueStaffDecisionApplied,
            IssueCollectionWindowChosen,
            IssueRated,
            *CLUSTER_EVENTS,
            CustomerErasureRequested,
            CustomerErased,
            *TYPES.values(),
        ),
    )
    orders = Orders(read_rules(settings.open_hours))
    calls = IntakeCommands(service, orders)
    evidence = Evidence(open_evidence(settings.evidence_at, settings.s3_access), settings.photos_per_issue)
    service.consume(orders, OrderPlaced, OrderShipped, OrderDelivered, OrderCancelled, IssueSubmitted)
    service.consume(Timeline(settings.zone), *timeline.FACTS)
    erasures = Erasures(service.name, erase)
    service.consume(erasures, CustomerErasureRequested)
    service.add_retention(*photo_cleanup.sweeps(settings.evidence_retention_days, settings.free_text_retention_days))
    service.run_in_background("photo files", photo_cleanup.PhotoFiles(service, evidence.files).run)
    add_insights(service)
    assets, links = Assets(ASSETS_FOLDER), open_links(settings.link_secrets)
    app = service.create_app(
        api.routes(calls),
        photos.routes(calls, evidence, links),
        staff_decisions.routes(calls),
        search.routes(calls),
        erasure_routes.routes(service),
        *customer_pages.ROUTERS,
        *desk.ROUTERS,
        insight_routes.router,
        storefronts(calls, settings.webhook_secrets, settings.shopify_secrets),
        assets.routes(),
        pages={"desk": "/desk"},
        uploads=(*photos.UPLOADS, *customer_pages.UPLOADS, *WEBHOOKS),
        untraced=("/desk", "/s/", "/r/", "/v/", "/u/"),
    )
    app.state.customer_pages = customer_pages.open_customer_pages(calls, evidence, settings, links, assets)
    app.state.desk = desk.open_desk(calls, evidence, settings, links, assets)
    app.user_middleware.append(Middleware(ReportFastPath, calls))  # the last one is the innermost
    return app
