"""Returns: what moves, in which order, and who is waiting for whom? (`domain` says how)."""

from dataclasses import replace

from fastapi import FastAPI

from libs.common.config.settings import load
from libs.common.decisions.shop_calendar import ShopCalendar
from libs.common.events import carrier, issues, payment, topics, warehouse
from libs.common.events.customers import CustomerErased, CustomerErasureRequested
from libs.common.events.notices import CustomerDecided
from libs.common.events.storefront import OrderDelivered, OrderPlaced
from libs.common.privacy.erasure import Erasures
from libs.common.runtime.service import Service
from services.returns.domain.decide import GIVES
from services.returns.domain.decision_context import Rules
from services.returns.http import cases as api
from services.returns.policy.policy_loader import read_policies, watch
from services.returns.policy.policy_versions import Policies
from services.returns.settings import Settings
from services.returns.store.cases import Cases
from services.returns.store.erasure import erase, sweeps
from services.returns.store.order_snapshots import Destinations

TAKES = (
    issues.IssueAccepted,
    issues.IssueStaffDecided,
    issues.IssueCollectionWindowChosen,
    warehouse.ReplacementConfirmed,
    warehouse.ReplacementRejected,
    warehouse.ReplacementDelayed,
    warehouse.ReplacementShipped,
    warehouse.ItemReceived,
    warehouse.ItemInspected,
    carrier.ParcelDelivered,
    carrier.ParcelException,
    carrier.ParcelScanned,
    carrier.ParcelFound,
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
        publishes=(*GIVES, CustomerErased),
    )
    rules = Rules(read_policies(settings.policy_file), ShopCalendar(settings.zone, settings.shop_country))
    address_keys = tuple(key.get_secret_value().encode() for key in settings.address_key)
    cases = Cases(rules, address_keys)

    def changed(policies: Policies) -> None:
        cases.rules = replace(cases.rules, policies=policies)

    service.consume(cases, *TAKES, promptly=(topics.ISSUES,))  # a replacement should leave at once
    service.consume(Destinations(address_keys), OrderPlaced, OrderDelivered)
    service.add_retention(*sweeps(settings.address_retention_days))
    service.consume(Erasures(service.name, erase), CustomerErasureRequested)
    service.run_in_background("policies", watch(settings.policy_file, changed, settings.policy_poll_seconds))
    return service.create_app(api.routes(service, cases))
