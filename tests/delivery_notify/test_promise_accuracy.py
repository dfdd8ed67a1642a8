"""Accuracy of first dates: which dates count, as what, and under which name; over HTTP and as a metric."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from services.delivery_notify.domain.promise_accuracy import FirstDateOutcome, OutcomeCount, accuracies, limit_names
from services.delivery_notify.store.lateness import read_history
from services.delivery_notify.store.promise_accuracy import FirstDateGauge
from tests.conftest import MakeDatabase
from tests.delivery_notify.service import notifying
from tests.running import OPS, STOREFRONT, Live

PATH = "/v1/promises/accuracy"
TOKYO = ZoneInfo("Asia/Tokyo")
DAY = date(2026, 3, 4)
"""A first date; all times below are about it."""
LAST_SECOND = datetime(2026, 3, 4, 14, 59, 59, tzinfo=UTC)
"""23:59:59 of that day in the shop."""
NEXT_DAY = LAST_SECOND + timedelta(seconds=1)
GIVEN = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
async def live(database: MakeDatabase) -> AsyncIterator[Live]:
    async with notifying(await database("delivery_notify")) as live:
        yield live


async def promise(
    live: Live,
    order_id: str,
    *dates: tuple[date, str],
    subject: str = "line",
    announced_from: int = 1,
    known: bool = True,
    moved_at: datetime = GIVEN,
    **outcome: Any,
) -> None:
    """Store the dates of one line with their sources, announced from that version on, and their outcome."""
    pool = live.service.pool
    for version, (day, source) in enumerate(dates, 1):
        row, at = (order_id, subject, "1", version), moved_at if version > 1 else GIVEN
        await pool.execute("INSERT INTO promises VALUES ($1, $2, $3, $4, $5, $6, $7)", *row, day, source, at)
        if version >= announced_from:
            await pool.execute(
                "INSERT INTO promise_notifications VALUES ($1, $2, $3, $4, 'email', $5, $6)", *row, uuid4(), at
            )
    if known:
        names = [outcome.get(each) for each in ("warehouse", "carrier", "product_group", "done_at", "ended_at")]
        await pool.execute(
            "INSERT INTO promise_outcomes VALUES ($1, $2, '1', $3, $4, $5, $6, $7)", order_id, subject, *names
        )


async def groups(live: Live, by: str = "warehouse", **query: str) -> dict[tuple[str, str], dict[str, Any]]:
    query = {"since": "2026-02-01", "until": "2026-03-31", **query}
    answer = await live.client.get(PATH, params={"by": by, **query}, headers=OPS)
    assert answer.status_code == 200, answer.text
    return {(each["subject"], each["name"]): each for each in answer.json()["groups"]}


async def judged(live: Live) -> str:
    """The outcome of the only first date."""
    (found,) = (await groups(live)).values()
    (outcome,) = [each.value for each in FirstDateOutcome if found[each.value]]
    return outcome


@pytest.mark.parametrize(("done_at", "expected"), [(LAST_SECOND, "kept"), (NEXT_DAY, "missed"), (None, "missed")])
async def test_a_date_is_kept_until_the_end_of_its_day_in_the_shop(
    live: Live, done_at: datetime | None, expected: str
) -> None:
    await promise(live, "O-1", (DAY, "order.placed"), done_at=done_at)
    assert await judged(live) == expected


@pytest.mark.parametrize(("ended_at", "expected"), [(LAST_SECOND, "released"), (NEXT_DAY, "missed")])
async def test_a_line_that_was_cancelled_in_time_releases_its_date(
    live: Live, ended_at: datetime, expected: str
) -> None:
    await promise(live, "O-1", (DAY, "order.placed"), ended_at=ended_at)
    assert await judged(live) == expected


@pytest.mark.parametrize(("source", "expected"), [("customer.decided", "released"), ("order.delayed", "missed")])
async def test_a_later_day_releases_the_first_date_only_if_the_customer_chose_it(
    live: Live, source: str, expected: str
) -> None:
    later = DAY + timedelta(days=3)
    await promise(live, "O-1", (DAY, "order.placed"), (later, source), done_at=NEXT_DAY)
    assert await judged(live) == expected


CHOSEN = (DAY + timedelta(days=9), "customer.decided")


@pytest.mark.parametrize(
    ("dates", "outcome", "counted_until"),
    [
        ([], {"done_at": LAST_SECOND}, DAY),
        ([CHOSEN], {"done_at": LAST_SECOND}, DAY),
        ([CHOSEN], {"done_at": NEXT_DAY}, None),
        ([CHOSEN], {"done_at": NEXT_DAY + timedelta(days=7), "moved_at": NEXT_DAY}, DAY + timedelta(days=8)),
        ([], {"ended_at": LAST_SECOND}, None),
        ([], {"ended_at": NEXT_DAY + timedelta(days=9)}, DAY + timedelta(days=10)),
    ],
)
async def test_the_forecast_counts_each_date_that_was_not_released_until_its_end(
    live: Live, dates: list[tuple[date, str]], outcome: dict[str, Any], counted_until: date | None
) -> None:
    await promise(live, "O-1", (DAY, "order.placed"), *dates, **outcome)
    async with live.service.pool.acquire() as conn:
        history = await read_history(conn, DAY, DAY + timedelta(days=30), TOKYO)
    assert [each.ended_on for each in history] == ([counted_until] if counted_until else [])
    assert (await judged(live) == "released") == (counted_until is None)


async def test_a_date_that_is_to_come_is_open(live: Live) -> None:
    day = live.service.clock.now().date() + timedelta(days=3)
    await promise(live, "O-1", (day, "order.placed"))
    (found,) = (await groups(live, since=day.isoformat(), until=day.isoformat())).values()
    assert (found["open"], found["share"]) == (1, None)


async def test_the_first_date_is_the_first_that_the_customer_was_given(live: Live) -> None:
    later = DAY + timedelta(days=3)
    await promise(live, "O-1", (DAY, "order.placed"), (later, "policy"), announced_from=2, done_at=NEXT_DAY)
    assert await judged(live) == "kept"


async def test_a_name_that_is_not_known_is_counted_as_unknown(live: Live) -> None:
    await promise(live, "O-1", (DAY, "order.placed"), done_at=GIVEN)
    await promise(live, "O-2", (DAY, "order.placed"), done_at=GIVEN, warehouse="osaka")
    assert set(await groups(live)) == {("line", "unknown"), ("line", "osaka")}


async def test_a_date_without_a_known_outcome_is_neither_kept_nor_missed(live: Live) -> None:
    await promise(live, "O-1", (DAY, "order.placed"), known=False)
    assert await judged(live) == "unknown"


async def test_delivery_dates_count_for_the_carrier_and_ship_dates_for_the_warehouse(live: Live) -> None:
    names: dict[str, Any] = {"warehouse": "osaka", "carrier": "yamato", "product_group": "cups"}
    for subject in ("line", "delivery"):
        await promise(live, "O-1", (DAY, "order.placed"), subject=subject, done_at=GIVEN, **names)
    assert set(await groups(live, "warehouse")) == {("line", "osaka")}
    assert set(await groups(live, "carrier")) == {("delivery", "yamato")}
    assert set(await groups(live, "product_group")) == {("line", "cups"), ("delivery", "cups")}


async def test_the_share_has_its_wilson_interval(live: Live) -> None:
    for number in range(20):
        await promise(live, f"O-{number}", (DAY, "order.placed"), done_at=NEXT_DAY, warehouse="osaka")
    found = (await groups(live))["line", "osaka"]
    assert (found["share"], found["low"], round(found["high"], 4)) == (0.0, 0.0, 0.1611)


async def test_only_dates_of_the_span_are_counted(live: Live) -> None:
    await promise(live, "O-1", (DAY, "order.placed"), done_at=GIVEN)
    assert await groups(live, since="2026-03-05") == {}


@pytest.mark.parametrize("query", ["since=2027-03-02&until=2027-03-01", "since=2020-01-01&until=2027-03-01"])
async def test_a_span_that_cannot_be_shown_is_refused_with_the_remedy(live: Live, query: str) -> None:
    answer = await live.client.get(f"{PATH}?by=carrier&{query}", headers=OPS)
    assert (answer.status_code, answer.json()["code"]) == (422, "span")


@pytest.mark.parametrize("query", ["", "by=customer", "by=carrier&since=0001-01-01&until=0001-01-01"])
async def test_odd_queries_get_no_server_error(live: Live, query: str) -> None:
    assert (await live.client.get(f"{PATH}?{query}", headers=OPS)).status_code in (200, 422)


async def test_the_storefront_may_not_read_the_figures(live: Live) -> None:
    assert (await live.client.get(f"{PATH}?by=carrier", headers=STOREFRONT)).status_code == 403


async def test_the_metric_counts_the_first_dates_of_the_last_days(live: Live) -> None:
    now = live.service.clock.now()
    await promise(live, "O-1", (now.astimezone(TOKYO).date(), "order.placed"), warehouse="osaka", done_at=now)
    await promise(live, "O-2", (DAY - timedelta(days=400), "order.placed"), warehouse="osaka", done_at=now)
    async with live.service.pool.acquire() as conn:
        found = await FirstDateGauge(TOKYO)(conn, now)
    assert found == {
        ("warehouse", "line", "osaka", "kept"): 1.0,
        ("product_group", "line", "unknown", "kept"): 1.0,
    }


async def test_the_metric_is_not_read_again_at_once(live: Live) -> None:
    gauge, now = FirstDateGauge(TOKYO), live.service.clock.now()
    async with live.service.pool.acquire() as conn:
        assert await gauge(conn, now) == {}
        await promise(live, "O-1", (now.astimezone(TOKYO).date(), "order.placed"), done_at=now)
        assert await gauge(conn, now) == {}


def test_all_but_the_largest_names_are_counted_as_other() -> None:
    counts = [OutcomeCount("line", f"W-{size}", FirstDateOutcome.KEPT, size) for size in range(1, 6)]
    limited = limit_names(counts, 2)
    assert {each.name: each.dates for each in limited} == {"W-5": 5, "W-4": 4, "other": 6}


def test_the_largest_group_of_a_subject_comes_first() -> None:
    counts = [OutcomeCount("line", name, FirstDateOutcome.MISSED, dates) for name, dates in (("a", 1), ("b", 2))]
    assert [each.name for each in accuracies(counts)] == ["b", "a"]
