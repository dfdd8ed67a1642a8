"""Random histories of boxes at the gate of a warehouse: lines of several issues, ids used again, cases opened later."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.common.decisions.ids import derived_id
from libs.common.events.anomalies import CountStaffDecided
from libs.common.events.issues import IssueAccepted, IssueStaffDecided
from libs.common.events.storefront import CustomerMerged, OrderCancelled, OrderPlaced
from libs.common.events.values import CountedLine
from libs.common.events.warehouse import ItemInspected, ItemReceived, ReplacementShipped
from services.returns.app import create_app
from services.returns.settings import ReturnsSettings
from tests.conftest import MakeDatabase
from tests.drawn_facts import ISSUES, SHOP, START, Facts, any_fact, any_facts
from tests.examples import examples
from tests.returns.test_fact_histories import ANSWERS, CASES
from tests.running import Live, running
from tests.service_histories import Step, history_of, steps

AT_ONE_GATE = st.integers(0, 2).map(lambda hour: START + timedelta(hours=60 + hour))


def at_the_gate(fact: ItemReceived, at: datetime, receipt: int | None, issue: UUID | None) -> ItemReceived:
    receipt_id = f"gate-{receipt}" if receipt else None
    return fact.model_copy(update={"received_at": at, "receipt_id": receipt_id, "issue_id": issue})


BOXES: Facts = {
    ItemReceived: st.builds(
        at_the_gate,
        any_fact(ItemReceived),
        AT_ONE_GATE,
        st.none() | st.integers(1, 2),
        st.none() | st.sampled_from(ISSUES),
    )
}


def shared_by(first: UUID, second: UUID, receipt: int, at: datetime, is_named: bool, is_sent: bool) -> ItemReceived:
    """Return one box with a unit of each of two issues, which it names itself or by its lines only.

    `is_sent`: the second unit is the replacement of its issue, which its line names alone.
    """
    of_second = {"replacement_id": derived_id("replacement", second, 1)} if is_sent else {"issue_id": second}
    lines = tuple(CountedLine(line_id="1", quantity=1, **named) for named in ({"issue_id": first}, of_second))
    issue = first if is_named else None
    return ItemReceived(issue_id=issue, lines=lines, received_at=at, receipt_id=f"shared-{receipt}")


SHARED: Facts = {
    ItemReceived: st.builds(
        shared_by,
        st.sampled_from(ISSUES),
        st.sampled_from(ISSUES),
        st.integers(1, 100),
        AT_ONE_GATE,
        st.booleans(),
        st.booleans(),
    )
}
BESIDE: Facts = {
    **{each: SHOP[each] for each in (OrderPlaced, OrderCancelled, CustomerMerged)},
    **any_facts([IssueStaffDecided, CountStaffDecided, ItemInspected, ReplacementShipped]),
}
OPENED: Facts = {IssueAccepted: CASES[IssueAccepted]}


@pytest.fixture
async def live(database: MakeDatabase) -> AsyncIterator[Live]:
    async with running(create_app, ReturnsSettings, database=await database("returns")) as live:
        yield live


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=examples(300))
@given(history=st.lists(steps(BOXES, SHARED, OPENED, BESIDE, likely=ANSWERS), min_size=5, max_size=30))
async def test_every_counted_box_is_in_a_case_or_shown_to_staff(live: Live, history: list[Step]) -> None:
    async with history_of(live.service) as played:
        for step in history:
            await played.play(step)
        assert await played.violations(["counted_goods"]) == [], str(played)
