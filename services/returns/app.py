"""Returns service: replacements, collections and refunds of accepted issues, and the reviews of staff."""

from dataclasses import replace
from pathlib import Path

from fastapi import FastAPI

from libs.common.config.settings import load
from libs.common.events import topics
from libs.common.events.customers import CustomerErased, CustomerErasureRequested
from libs.common.events.rejections import EventRejected
from libs.common.events.storefront import CustomerMerged
from libs.common.privacy.customer_merges import CustomerMerges
from libs.common.privacy.erasure import Erasures
from libs.common.runtime.service import Service
from services.returns.domain.context import CaseRules
from services.returns.domain.decide import PUBLISHES, SUBSCRIBES
from services.returns.domain.ledger_decisions import ORDER_SUBSCRIBES
from services.returns.http import cases as case_routes
from services.returns.metrics import add_metrics
from services.returns.policy.policy_loader import read_policies, watch
from services.returns.policy.policy_versions import ReturnPolicies
from services.returns.settings import ReturnsSettings
from services.returns.store.cases import Cases
from services.returns.store.customer_merges import move_customer
from services.returns.store.early_events import early_event_sweep
from services.returns.store.erasure import address_sweeps, erase
from services.returns.store.order_snapshots import OrderSnapshots
from services.returns.store.orders import KnownOrders
from services.returns.store.parcel_numbers import parcel_number_sweep

EXAMPLES = Path(__file__).with_name("http") / "examples.json"


def create_app(settings: ReturnsSettings | None = None) -> FastAPI:
    settings = settings or load(ReturnsSettings)
    service = Service(
        "returns",
        settings,
        description="Cases: the replacement, the return of the item, the refund, and reviews by staff.",
        publishes=(*PUBLISHES, CustomerErased, EventRejected),
    )
    rules = CaseRules(read_policies(settings.policy_file), settings.calendars)
    address_keys = tuple(key.get_secret_value().encode() for key in settings.address_key)
    cases = Cases(rules, address_keys)

    def on_policy_change(policies: ReturnPolicies) -> None:
        cases.rules = replace(cases.rules, policies=policies)

    service.prepare(rules.calendars.prepare)
    service.review_dates_on_change(cases.name, rules.calendars.fingerprint, "outbound", "inbound")
    # Issues are consumed promptly, because a replacement should ship as soon as possible.
    service.add_aggregate(cases, *SUBSCRIBES, promptly=(topics.ISSUES,))
    service.add_aggregate(KnownOrders(OrderSnapshots(address_keys)), *ORDER_SUBSCRIBES)
    service.add_aggregate(Erasures(service.name, erase), CustomerErasureRequested)
    service.add_aggregate(CustomerMerges(move_customer), CustomerMerged)
    service.add_retention(*address_sweeps(settings.address_retention_days), early_event_sweep(), parcel_number_sweep())
    service.run_in_background("policies", watch(settings.policy_file, on_policy_change, settings.policy_poll_seconds))
    add_metrics(service.metrics)
    app = service.create_app(case_routes.router, examples=EXAMPLES)
    app.state.cases = cases
    return app
