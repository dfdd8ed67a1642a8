"""Returns: what moves, in which order, and who is waiting for whom? (`domain` says how)."""

from fastapi import FastAPI

from libs.common.events import carrier, issues, payment, topics, warehouse
from libs.common.events.notices import CustomerDecided
from libs.common.events.storefront import OrderPlaced
from libs.common.service import Service
from libs.common.settings import load
from libs.common.shop_calendar import ShopCalendar
from services.returns import api
from services.returns.domain import GIVES
from services.returns.policy import read_policy
from services.returns.settings import Settings
from services.returns.store import Cases, Destinations
from services.returns.turn import Rules

TAKES = (
    issues.IssueAccepted,
    warehouse.ReplacementConfirmed,
    warehouse.ReplacementRejected,
    warehouse.ReplacementDelayed,
    warehouse.ReplacementShipped,
    warehouse.ItemReceived,
    warehouse.ItemInspected,
    carrier.ParcelDelivered,
    carrier.ParcelException,
    carrier.CollectionBooked,
    carrier.CollectionAttemptFailed,
    carrier.CollectionCollected,
    payment.RefundCompleted,
    payment.RefundFailed,
    CustomerDecided,
)


def create_app(settings: Settings | None = None) -> FastAPI:
    settings = settings or load(Settings)
    service = Service(
        "returns",
        settings,
        description="Cases: the replacement out, the item back, the money back, and what waits for a human.",
        gives=GIVES,
    )
    rules = Rules(read_policy(settings.policy_file), ShopCalendar(settings.zone, settings.shop_country))
    cases = Cases(rules)
    service.consume(cases, *TAKES, promptly=(topics.ISSUES,))  # a replacement should leave at once
    service.consume(Destinations(), OrderPlaced)
    return service.create_app(api.routes(service, cases))
