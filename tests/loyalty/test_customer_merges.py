"""Merged customers: points, tier and orders of the former account are those of the account that remains."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest

from libs.common.events.customers import CustomerErasureRequested
from libs.common.events.envelope import Payload
from libs.common.events.registry import AnyEvent
from libs.common.events.storefront import CustomerMerged
from libs.common.messaging.decision_runner import Incoming
from services.loyalty.app import create_app
from services.loyalty.domain.account_merges import merged_membership
from services.loyalty.ledger.entries import Membership
from services.loyalty.settings import LoyaltySettings
from services.loyalty.store import queries
from tests.conftest import MakeDatabase
from tests.loyalty.histories import (
    CUSTOMER,
    HOLD,
    NOON,
    RULES,
    adjust,
    cancelled,
    commit,
    delivered,
    hold_ended,
    placed,
    refunded,
    reopened,
    reserve,
    resolved,
)
from tests.loyalty.test_spent_points import paid_with_points
from tests.running import STOREFRONT, Live, eventually, running

REMAINING = "C-NEW"
SECOND = UUID(int=2)


@pytest.fixture
async def live(database: MakeDatabase) -> AsyncIterator[Live]:
    async with running(create_app, LoyaltySettings, database=await database("loyalty")) as live:
        yield live


def merged(former: str = CUSTOMER, remaining: str = REMAINING) -> CustomerMerged:
    return CustomerMerged(customer_id=remaining, merged_customer_id=former, merged_at=NOON)


async def take(live: Live, *happened: AnyEvent | Payload, aggregate: str = "ledger") -> None:
    service = live.service
    for each in happened:
        event = each if not isinstance(each, Payload) else service.event(each)
        name = "customer_merges" if isinstance(event.data, CustomerMerged) else aggregate
        await service.execute(service.aggregates[name], event)


async def points(live: Live, customer_id: str = REMAINING) -> tuple[int, int]:
    """Return pending points, and available ones less a debt."""
    async with live.service.pool.acquire() as conn:
        found = await queries.balance_of(conn, customer_id)
        assert await queries.unbalanced_customers(conn) == []
    return found["pending"], found["available"] + found["debt"]


async def test_points_of_both_accounts_are_added(live: Live) -> None:
    await take(live, resolved(), resolved(SECOND, customer_id=REMAINING), merged())
    assert (await points(live), await points(live, CUSTOMER)) == ((1098, 0), (0, 0))


async def test_a_repeated_merge_moves_nothing_twice(live: Live) -> None:
    await take(live, resolved(), merged(), merged())
    assert await points(live) == (549, 0)


async def test_a_late_event_of_the_former_account_counts_for_the_other(live: Live) -> None:
    await take(live, merged(), resolved())
    assert (await points(live), await points(live, CUSTOMER)) == ((549, 0), (0, 0))


async def test_a_grant_of_the_former_account_is_reversed_once(live: Live) -> None:
    await take(live, resolved(), merged(), reopened(), reopened(customer_id=REMAINING))
    assert await points(live) == (0, 0)


async def test_points_of_one_account_pay_the_debt_of_the_other(live: Live) -> None:
    await take(live, resolved(), hold_ended(), reserve(500), commit(), reopened())
    await take(live, adjust(700, 7, customer_id=REMAINING), merged())
    row = await live.service.pool.fetchrow("SELECT available, debt FROM balances WHERE customer_id = $1", REMAINING)
    assert row is not None
    assert tuple(row) == (200, 0)


@pytest.mark.parametrize("order", list(permutations([("a", "b"), ("b", "c"), ("c", "d")])))
async def test_a_chain_in_any_order_ends_at_the_last_account(live: Live, order: list[tuple[str, str]]) -> None:
    for number, customer in enumerate("abc", start=1):
        await take(live, resolved(UUID(int=number), customer_id=customer))
    await take(live, *(merged(*each) for each in order))
    await take(live, resolved(UUID(int=9), customer_id="a"))
    assert [await points(live, customer) for customer in "abcd"] == [(0, 0), (0, 0), (0, 0), (4 * 549, 0)]


async def test_a_circle_of_merges_keeps_all_points_in_one_account(live: Live) -> None:
    await take(live, resolved(customer_id="a"), resolved(SECOND, customer_id="b"))
    await take(live, merged("a", "b"), merged("b", "a"), merged("a", "b"))
    assert [await points(live, customer) for customer in "ab"] == [(0, 0), (2 * 549, 0)]


@pytest.mark.parametrize("pairs", [[("a", "b"), ("b", "a")], [("b", "c"), ("a", "b")], [("a", "b"), ("b", "c")]])
async def test_merges_of_one_batch_see_each_other(live: Live, pairs: list[tuple[str, str]]) -> None:
    await take(live, resolved(customer_id="a"), resolved(SECOND, customer_id="b"))
    incoming = [Incoming(live.service.event(merged(*pair))) for pair in pairs]
    async with live.service.pool.acquire() as conn, conn.transaction():
        await live.service.decisions.apply(conn, live.service.aggregates["customer_merges"], incoming)
    assert sorted([await points(live, customer) for customer in "abc"]) == [(0, 0), (0, 0), (1098, 0)]


async def test_an_account_merged_with_itself_stays(live: Live) -> None:
    await take(live, resolved(), merged(CUSTOMER, CUSTOMER))
    assert await points(live, CUSTOMER) == (549, 0)


async def test_points_for_a_purchase_follow_its_customer(live: Live) -> None:
    await take(live, placed(), aggregate="orders")
    await take(live, merged())
    await take(live, delivered(), aggregate="orders")

    async def granted() -> bool:
        return await points(live) == (49, 0)

    await eventually(granted, "the remaining account has the points of the purchase")


async def reach(live: Live, wanted: tuple[int, int], customer_id: str = REMAINING) -> None:
    async def look() -> bool:
        return await points(live, customer_id) == wanted

    await eventually(look, f"{customer_id} has {wanted} pending and available points")


async def test_a_refund_of_the_remaining_account_before_the_merge_takes_the_points_of_the_purchase(live: Live) -> None:
    await take(live, placed(), delivered(), aggregate="orders")
    await reach(live, (49, 0), CUSTOMER)
    await take(live, refunded(customer_id=REMAINING), merged())
    await reach(live, (0, 0))


async def test_a_refund_of_the_remaining_account_before_the_merge_returns_the_points_that_were_spent(
    live: Live,
) -> None:
    await take(live, paid_with_points(), aggregate="orders")
    await take(live, adjust(600), reserve(500), commit(), refunded("1500", customer_id=REMAINING), merged())
    await reach(live, (0, 600))


@pytest.mark.parametrize("undone", [reopened, cancelled])
async def test_an_issue_undone_under_the_remaining_account_before_the_merge_earns_nothing(
    live: Live, undone: Callable[..., AnyEvent]
) -> None:
    await take(live, resolved(), undone(customer_id=REMAINING), merged())
    await reach(live, (0, 0))


async def test_a_cancelled_issue_takes_no_points_of_another_one_in_a_merge(live: Live) -> None:
    await take(live, resolved(), resolved(SECOND), cancelled(customer_id=REMAINING), merged())
    await reach(live, (549, 0))


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("balance", lambda body: body["total"]),
        ("entries", lambda body: body["entries"][-1]["points"]),
        ("statement", lambda body: body["lines"][0]["available_after"]),
        (f"redemptions/{UUID(int=1)}", lambda body: body["points"]),
    ],
)
async def test_points_are_shown_under_the_former_id_too(live: Live, path: str, shown: Callable[[Any], int]) -> None:
    await take(live, adjust(600), reserve(600), merged())
    answer = await live.client.get(f"/v1/customers/{CUSTOMER}/{path}", headers=STOREFRONT)
    assert shown(answer.json()) == 600


async def test_points_of_the_former_account_vest_in_the_other(live: Live) -> None:
    await take(live, resolved(), merged())
    found = await live.service.pool.fetch("SELECT key FROM timers WHERE name LIKE 'vest:%'")
    assert [row["key"] for row in found] == [REMAINING]


async def test_a_second_pass_moves_what_was_written_meanwhile(live: Live) -> None:
    await take(live, merged())
    async with live.service.pool.acquire() as conn, conn.transaction():
        await conn.execute("DELETE FROM merged_customers")  # as another transaction sees it that began before
    await take(live, resolved())
    async with live.service.pool.acquire() as conn, conn.transaction():
        await conn.execute("INSERT INTO merged_customers VALUES ($1, $2, 1)", CUSTOMER, REMAINING)
        await conn.execute("UPDATE timers SET due_at = '-infinity' WHERE name = 'repeat_merge'")

    async def moved() -> bool:
        return await points(live) == (549, 0)

    await eventually(moved, "the second pass moved the points")


async def test_an_erasure_finds_what_came_from_the_former_account(live: Live) -> None:
    await take(live, placed(birthday="04-01"), aggregate="orders")
    request = CustomerErasureRequested(customer_id=REMAINING, erasure_id=UUID(int=1), requested_at=NOON)
    await take(live, merged())
    await take(live, request, aggregate="erasures")
    assert await live.service.pool.fetchval("SELECT count(*) FROM birthdays") == 0


async def test_an_erased_account_stays_erased_after_a_merge(live: Live) -> None:
    request = CustomerErasureRequested(customer_id=CUSTOMER, erasure_id=UUID(int=1), requested_at=NOON)
    await take(live, request, aggregate="erasures")
    await take(live, merged())
    await take(live, placed(birthday="04-01"), aggregate="orders")
    assert await live.service.pool.fetchval("SELECT count(*) FROM birthdays") == 0


async def test_the_ledger_cannot_be_moved_by_hand(live: Live) -> None:
    await take(live, resolved())
    async with live.service.pool.acquire() as conn, conn.transaction():
        await conn.execute("SELECT set_config('sakidashi.merging', 'accounts', true)")
        with pytest.raises(Exception, match="permission denied"):
            await conn.execute("UPDATE entries SET customer_id = 'C-THIEF'")


def membership(tier: str, **more: Any) -> Membership:
    return Membership(REMAINING, tier, **more)


@pytest.mark.parametrize("sides", [("", "gold"), ("gold", "")])
def test_the_higher_tier_stays(sides: tuple[str, str]) -> None:
    found = merged_membership(RULES, *(membership(tier, until=NOON if tier else None) for tier in sides))
    assert (found.tier, found.until) == ("gold", NOON)


def test_of_equal_tiers_the_longer_one_stays() -> None:
    short, long = (membership("gold", until=NOON + timedelta(days=days)) for days in (1, 2))
    assert merged_membership(RULES, long, short).until == NOON + timedelta(days=2)


def test_expiry_is_announced_from_the_earlier_date() -> None:
    announced = [membership("", expiry_notified_until=(NOON + HOLD * n).date()) for n in (1, 2)]
    assert merged_membership(RULES, *announced).expiry_notified_until == (NOON + HOLD).date()
