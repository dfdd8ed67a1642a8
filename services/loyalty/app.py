"""Loyalty: it says sorry in points, thanks for purchases, and keeps the books (`domain` says how)."""

from fastapi import FastAPI

from libs.common.erasure import Erasures
from libs.common.events.customers import CustomerErased, CustomerErasureRequested
from libs.common.events.issues import IssueCancelled, IssueRefunded, IssueReopened, IssueResolved
from libs.common.events.loyalty import (
    PointsAdjusted,
    PointsExpired,
    PointsExpiring,
    PointsFinalised,
    PointsGranted,
    PointsRedeemed,
    PointsReleased,
    PointsReserved,
    PointsReversed,
    PointsWithheld,
    TierChanged,
)
from libs.common.events.storefront import OrderCancelled, OrderDelivered, OrderPlaced
from libs.common.service import Service
from libs.common.settings import load
from services.loyalty import api, api_ops, api_redemptions
from services.loyalty.erasure import erase
from services.loyalty.settings import Settings
from services.loyalty.store import Ledger, Orders

GIVES = (
    PointsGranted,
    PointsFinalised,
    PointsReversed,
    PointsReserved,
    PointsReleased,
    PointsRedeemed,
    PointsExpiring,
    PointsExpired,
    PointsAdjusted,
    PointsWithheld,
    TierChanged,
    CustomerErased,
)


def create_app(settings: Settings | None = None) -> FastAPI:
    settings = settings or load(Settings)
    service = Service(
        "loyalty",
        settings,
        description="The points ledger: what a customer was given, why, and whether it may be spent.",
        gives=GIVES,
    )
    ledger = Ledger(settings.terms)
    service.consume(ledger, IssueResolved, IssueReopened, IssueCancelled, IssueRefunded)
    service.consume(Orders(), OrderPlaced, OrderDelivered, OrderCancelled)
    service.consume(Erasures(service.name, erase), CustomerErasureRequested)
    return service.create_app(
        api.routes(service, ledger), api_redemptions.routes(service, ledger), api_ops.routes(service, ledger)
    )
