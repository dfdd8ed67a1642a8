"""Loyalty: it says sorry in points, thanks for purchases, and keeps the books (`domain` says how)."""

from fastapi import FastAPI

from libs.common.config.settings import load
from libs.common.events.customers import CustomerErased, CustomerErasureRequested
from libs.common.events.issues import IssueCancelled, IssueRefunded, IssueReopened, IssueResolved
from libs.common.events.loyalty import (
    PointsAdjusted,
    PointsExpired,
    PointsExpiring,
    PointsGranted,
    PointsRedeemed,
    PointsReleased,
    PointsReserved,
    PointsReversed,
    PointsVested,
    PointsWithheld,
    TierChanged,
)
from libs.common.events.storefront import OrderCancelled, OrderDelivered, OrderPlaced
from libs.common.privacy.erasure import Erasures
from libs.common.runtime.service import Service
from services.loyalty.http import balances, ops, redemptions
from services.loyalty.settings import Settings
from services.loyalty.store.erasure import erase
from services.loyalty.store.ledger import Ledger, Orders

GIVES = (
    PointsGranted,
    PointsVested,
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
        publishes=GIVES,
    )
    ledger = Ledger(settings.terms)
    service.consume(ledger, IssueResolved, IssueReopened, IssueCancelled, IssueRefunded)
    service.consume(Orders(), OrderPlaced, OrderDelivered, OrderCancelled)
    service.consume(Erasures(service.name, erase), CustomerErasureRequested)
    return service.create_app(
        balances.routes(service, ledger), redemptions.routes(service, ledger), ops.routes(service, ledger)
    )
