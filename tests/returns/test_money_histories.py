"""Random histories of refunds: paid in part, sent back by the bank, and paid back by the shop or by a chargeback."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.common.events.issues import IssueAccepted, IssueStaffDecided
from libs.common.events.payment import ChargebackReversed, PaymentChargedBack, RefundCompleted, RefundReversed
from libs.common.events.storefront import OrderPlaced, OrderRefunded
from libs.common.events.values import Prepayment, Reason, Remedy
from services.returns.app import create_app
from services.returns.settings import ReturnsSettings
from tests.conftest import MakeDatabase
from tests.drawn_facts import ISSUES, SHOP, START, Facts, accepted, any_facts, orders, placed, yen
from tests.examples import examples
from tests.returns.likely_answers import answer
from tests.running import Live, running
from tests.service_histories import Step, history_of, steps

PAID = {"O-1": 1500, "O-2": 9900, "O-3": 500}
"""Money received for each order: less than its lines cost, where points or a voucher paid the rest."""


def paid(order_id: str) -> OrderPlaced:
    received = Prepayment(amount=yen(PAID[order_id]), received_at=START)
    return placed(order_id, 0).model_copy(update={"prepaid": received})


def refund_accepted(issue_id: UUID, reason: Reason, quantity: int) -> IssueAccepted:
    return accepted(issue_id, reason, Remedy.REFUND, quantity)


AT_ONCE = (Reason.MISSING_ITEM, Reason.LOST_IN_TRANSIT)
"""Reasons for which nothing has to come back before the refund."""

REPORTS = st.builds(refund_accepted, st.sampled_from(ISSUES), st.sampled_from(AT_ONCE), st.integers(1, 3))
BACK: Facts = {OrderRefunded: SHOP[OrderRefunded], **any_facts([PaymentChargedBack, ChargebackReversed])}
OTHERS: Facts = {
    OrderPlaced: st.builds(paid, orders),
    IssueAccepted: REPORTS,
    **any_facts([RefundCompleted, RefundReversed, IssueStaffDecided]),
}
ANSWERS = st.builds(answer, st.integers(1, 3), st.integers(0, 5))
ORDERS: list[Step] = [paid(order_id) for order_id in PAID]
BEGINNINGS = st.tuples(
    st.lists(st.one_of(*BACK.values()), max_size=2),
    st.lists(REPORTS, min_size=1, max_size=3, unique_by=lambda report: report.issue_id),
)
"""Money that went back before the reports, and the reports."""

CHECKS = ("nothing_twice", "refunded_within_paid", "counted_money")


@pytest.fixture
async def live(database: MakeDatabase) -> AsyncIterator[Live]:
    async with running(create_app, ReturnsSettings, database=await database("returns")) as live:
        yield live


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=examples(200))
@given(beginning=BEGINNINGS, history=st.lists(steps(BACK, OTHERS, likely=ANSWERS), min_size=1, max_size=12))
async def test_no_refund_exceeds_the_payment_and_staff_see_what_came_back(
    live: Live, beginning: tuple[list[Step], list[Step]], history: list[Step]
) -> None:
    back, reports = beginning
    async with history_of(live.service) as played:
        for step in (*ORDERS, *back, *reports, *history):
            await played.play(step)
        assert await played.violations(CHECKS) == [], str(played)
