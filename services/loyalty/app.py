"""Loyalty: it says sorry in points, once, after an issue is resolved (`domain` says how)."""

from fastapi import FastAPI

from libs.common.events.issues import IssueCancelled, IssueReopened, IssueResolved
from libs.common.events.loyalty import PointsFinalised, PointsGranted, PointsReversed
from libs.common.service import Service
from libs.common.settings import load
from services.loyalty import api
from services.loyalty.settings import Settings
from services.loyalty.store import Ledger


def create_app(settings: Settings | None = None) -> FastAPI:
    settings = settings or load(Settings)
    service = Service(
        "loyalty",
        settings,
        description="The points ledger: what a customer was given, why, and whether it may be spent.",
        gives=(PointsGranted, PointsFinalised, PointsReversed),
    )
    service.consume(Ledger(settings.award_rules), IssueResolved, IssueReopened, IssueCancelled)
    return service.create_app(api.routes(service))
