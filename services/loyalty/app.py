"""Loyalty: apology points, purchase points and the points ledger."""

from pathlib import Path

from fastapi import FastAPI

from libs.common.config.settings import load
from libs.common.events.customers import CustomerErasureRequested
from libs.common.events.storefront import CustomerMerged
from libs.common.privacy.customer_merges import CustomerMerges
from libs.common.privacy.erasure import Erasures
from libs.common.runtime.service import Service
from services.loyalty.domain.decide import ORDER_SUBSCRIBES, PUBLISHES, SUBSCRIBES
from services.loyalty.http import balances, entries, holdout, ops, redemptions
from services.loyalty.metrics import add_metrics
from services.loyalty.settings import LoyaltySettings
from services.loyalty.store.customer_merges import AccountMerges
from services.loyalty.store.erasure import erase
from services.loyalty.store.ledger import LedgerStore
from services.loyalty.store.orders import OrderStore

EXAMPLES = Path(__file__).with_name("http") / "examples.json"


def create_app(settings: LoyaltySettings | None = None) -> FastAPI:
    settings = settings or load(LoyaltySettings)
    service = Service(
        "loyalty",
        settings,
        description="Points ledger: which points a customer was granted, why, and whether they can be spent.",
        publishes=PUBLISHES,
    )
    ledger = LedgerStore(settings.ledger_rules)
    service.add_aggregate(ledger, *SUBSCRIBES)
    service.add_aggregate(OrderStore(), *ORDER_SUBSCRIBES)
    service.add_aggregate(Erasures(service.name, erase), CustomerErasureRequested)
    service.add_aggregate(CustomerMerges(AccountMerges(ledger).move), CustomerMerged)
    add_metrics(service.metrics)
    app = service.create_app(
        balances.router, entries.router, redemptions.router, ops.router, holdout.router, examples=EXAMPLES
    )
    app.state.ledger = ledger
    return app
