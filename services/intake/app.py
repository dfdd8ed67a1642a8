"""Intake: was this accepted, and where is it now?"""

from fastapi import FastAPI

from libs.common.events.issues import (
    IssueAccepted,
    IssueCollectionWindowChosen,
    IssueDetailsProvided,
    IssueDetailsRequested,
    IssueRated,
    IssueRejected,
    IssueReported,
    IssueStaffDecided,
)
from libs.common.events.storefront import IssueSubmitted, OrderCancelled, OrderDelivered, OrderPlaced, OrderShipped
from libs.common.service import Service
from libs.common.settings import load
from services.intake import api, timeline
from services.intake.settings import Settings
from services.intake.store import Orders, Timeline
from services.intake.uploads import Evidence
from services.intake.windows import read_rules


def create_app(settings: Settings | None = None) -> FastAPI:
    settings = settings or load(Settings)
    service = Service(
        "intake",
        settings,
        description="Takes reports of what is wrong with an order, and shows where each of them is.",
        gives=(
            IssueReported,
            IssueAccepted,
            IssueRejected,
            IssueDetailsRequested,
            IssueDetailsProvided,
            IssueStaffDecided,
            IssueCollectionWindowChosen,
            IssueRated,
        ),
    )
    orders = Orders(read_rules(settings.zone))
    service.consume(orders, OrderPlaced, OrderShipped, OrderDelivered, OrderCancelled, IssueSubmitted)
    service.consume(Timeline(settings.zone), *timeline.FACTS)
    return service.create_app(
        api.routes(service, orders, Evidence(settings.evidence_dir, settings.photos_per_issue)), uploads="/photos"
    )
