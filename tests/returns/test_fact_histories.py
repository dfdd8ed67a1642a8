"""Random histories of cases, orders and customers on a real Postgres, with every fact that returns reads.

The auditor compares refunds with payments, counted boxes and payments with cases, and corrections with the last orders
to partners.
"""

from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.common.events import carrier, payment, warehouse
from libs.common.events.anomalies import CountStaffDecided
from libs.common.events.issues import IssueAccepted, IssueCollectionWindowChosen, IssueStaffDecided
from libs.common.events.notices import CustomerDecided
from libs.common.events.values import Reason, Remedy
from services.returns.app import create_app
from services.returns.settings import ReturnsSettings
from tests.conftest import MakeDatabase
from tests.drawn_facts import SHOP, Facts, accepted, any_facts, issues
from tests.examples import examples
from tests.returns.known_parcels import parcels_forgotten
from tests.returns.likely_answers import answer
from tests.running import Live, running
from tests.service_histories import Step, history_of, steps

CASES: Facts = {
    IssueAccepted: st.builds(
        accepted, issues, st.sampled_from(Reason), st.none() | st.sampled_from(Remedy), st.integers(1, 2)
    ),
    **any_facts([IssueStaffDecided, IssueCollectionWindowChosen, CustomerDecided, CountStaffDecided]),
}
WAREHOUSE = any_facts(
    [
        warehouse.ReplacementConfirmed,
        warehouse.ReplacementDelayed,
        warehouse.ReplacementRejected,
        warehouse.ReplacementShipped,
        warehouse.ReplacementRecalled,
        warehouse.ReplacementShipmentChanged,
        warehouse.ItemReceived,
        warehouse.ItemInspected,
    ]
)
CARRIER = any_facts(
    [
        carrier.ParcelException,
        carrier.ParcelDelivered,
        carrier.ParcelScanned,
        carrier.ParcelFound,
        carrier.CollectionBooked,
        carrier.CollectionDeclined,
        carrier.CollectionAttemptFailed,
        carrier.CollectionCollected,
    ]
)
PAYMENT = any_facts(
    [
        payment.RefundCompleted,
        payment.RefundFailed,
        payment.RefundReversed,
        payment.PaymentChargedBack,
        payment.ChargebackReversed,
    ]
)
FACTS: Facts = {
    **{each: SHOP[each] for each in SHOP if each.TYPE not in ("order.shipped.v1", "shipment.changed.v1")},
    **CASES,
    **WAREHOUSE,
    **CARRIER,
    **PAYMENT,
}
CHECKS = (
    "ship_first",
    "nothing_twice",
    "counted_units",
    "free_of_charge",
    "refunded_within_paid",
    "delivery_counts_once",
    "counted_goods",
    "counted_money",
    "corrections_count",
)


@pytest.fixture
async def live(database: MakeDatabase) -> AsyncIterator[Live]:
    async with running(create_app, ReturnsSettings, database=await database("returns")) as live:
        yield live


ANSWERS = st.builds(answer, st.integers(1, 4), st.integers(0, 13))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=examples(60))
@given(history=st.lists(steps(SHOP, CASES, WAREHOUSE, CARRIER, PAYMENT, likely=ANSWERS), min_size=10, max_size=40))
async def test_the_auditor_finds_nothing_in_any_history(live: Live, history: list[Step]) -> None:
    async with history_of(live.service) as played:
        for step in history:
            await played.play(step)
        assert await played.violations(CHECKS) == [], str(played)
        assert await parcels_forgotten(played.conn, played.facts) == [], str(played)
        assert await played.rows_of_former_accounts() == [], str(played)
