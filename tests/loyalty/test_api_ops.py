"""Points by hand, reviews, the holdout, statements and the past, in the running app on a real Postgres."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from libs.common.decisions.clock import SharedClock
from libs.common.events.registry import AnyEvent
from libs.common.messaging.decision_runner import Incoming
from services.loyalty.app import create_app
from services.loyalty.domain.decision_context import Terms
from services.loyalty.http.entry_texts import TEXTS, say
from services.loyalty.settings import Settings
from services.loyalty.store.ledger import Ledger, Orders
from tests.loyalty.histories import CUSTOMER, ISSUE, NOON, RULES, hold_over, placed, reopened, resolved
from tests.running import OPS, STOREFRONT, Live, running

HERE = f"/v1/customers/{CUSTOMER}"
STRICT = RULES.model_copy(
    update={"limits": RULES.limits.model_copy(update={"most_grants": 1}) if RULES.limits else None}
)
KEY = "a key that nobody knows"


@pytest.fixture
async def live(database: Callable[[str], Awaitable[str]], tmp_path: Path) -> AsyncIterator[Live]:
    url = await database("loyalty")
    SharedClock.create(tmp_path / "clock", NOON, speed=0)
    settings: dict[str, Any] = {"award_rules": STRICT, "holdout_share": 0.5, "holdout_key": KEY}
    async with running(create_app, Settings, database=url, clock_file=tmp_path / "clock", **settings) as one:
        yield one


async def happen(live: Live, *events: AnyEvent, terms: Terms | None = None) -> None:
    async with live.service.pool.acquire() as conn, conn.transaction():
        incoming = [Incoming(event) for event in events]
        await live.service.decisions.apply(conn, Ledger(terms or Terms(STRICT)), incoming)


async def later(live: Live, span: timedelta) -> None:
    """The shop's clock, moved on."""
    clock = live.service.clock
    assert isinstance(clock, SharedClock)
    clock._write(clock.now() + span, 0)


async def post(live: Live, path: str, body: Any, headers: dict[str, str] = OPS) -> httpx.Response:
    return await live.client.post(path, json=body, headers={**headers, "Idempotency-Key": str(uuid4())})


async def get(live: Live, path: str, headers: dict[str, str] = OPS) -> Any:
    answer = await live.client.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


GIFT = {"change": 300, "staff": "sato", "comment": "called twice, nobody answered"}


async def test_ops_give_and_take_points_with_who_and_why(live: Live) -> None:
    given = await post(live, f"{HERE}/adjustments", GIFT)
    taken = await post(live, f"{HERE}/adjustments", {**GIFT, "change": -100, "text": "correction"})
    assert (given.status_code, taken.status_code, taken.json()["change"]) == (201, 201, -100)
    assert (await get(live, f"{HERE}/balance"))["available"] == 200
    noted = [(entry["staff"], entry["note"]) for entry in (await get(live, f"{HERE}/entries"))["entries"]]
    assert noted == [("sato", "called twice, nobody answered")] * 2


async def test_the_private_note_stays_with_ops(live: Live) -> None:
    await post(live, f"{HERE}/adjustments", GIFT)
    told = await get(live, f"{HERE}/entries", STOREFRONT)
    assert [(entry["staff"], entry["note"], entry["text"]) for entry in told["entries"]] == [(None, None, "goodwill")]
    async with live.service.pool.acquire() as conn:
        assert not await conn.fetchval("SELECT count(*) FROM outbox WHERE convert_from(value, 'UTF8') LIKE '%nobody%'")


@pytest.mark.parametrize(
    ("change", "status", "named"),
    [
        ({"change": 0}, 422, "change"),
        ({"change": -301}, 409, "change"),
        ({"comment": " "}, 422, "comment"),
        ({"comment": "x" * 1001}, 422, "comment"),
        ({"staff": ""}, 422, "staff"),
        ({"text": "because"}, 422, "text"),
        ({"change": 10_000_001}, 422, "change"),
    ],
)
async def test_an_adjustment_that_cannot_be_is_refused_by_its_field(
    live: Live, change: dict[str, Any], status: int, named: str
) -> None:
    answer = await post(live, f"{HERE}/adjustments", {**GIFT, **change})
    assert (answer.status_code, answer.json()["detail"].partition(":")[0]) == (status, named)


@pytest.mark.parametrize("path", [f"{HERE}/adjustments", f"{HERE}/reviews/issue:{ISSUE}:1"])
async def test_the_storefront_decides_nothing_by_hand(live: Live, path: str) -> None:
    assert (await post(live, path, GIFT, STOREFRONT)).status_code == 403


async def test_an_apology_over_the_limit_is_decided_by_ops(live: Live) -> None:
    await happen(live, resolved(UUID(int=1)), resolved())
    [waiting] = await get(live, "/v1/loyalty/reviews")
    assert (waiting["code"], waiting["points"], waiting["customer_id"]) == ("too_many", 549, CUSTOMER)
    verdict = {"approved": True, "staff": "sato", "comment": "a bad month"}
    done = await post(live, f"{HERE}/reviews/{waiting['cause']}", verdict)
    again = await post(live, f"{HERE}/reviews/{waiting['cause']}", verdict)
    assert (done.status_code, done.json()["points"]) == (200, 549)
    assert (again.status_code, again.json()["code"]) == (409, "no_such_review")
    assert await get(live, "/v1/loyalty/reviews") == []
    assert (await get(live, f"{HERE}/balance"))["pending"] == 2 * 549


async def test_a_cause_that_is_none_is_refused(live: Live) -> None:
    answer = await post(live, f"{HERE}/reviews/issue:nonsense", {"approved": True, "staff": "s", "comment": "w"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "cause")


async def test_the_balance_of_any_past_moment(live: Live) -> None:
    await happen(live, resolved())
    await later(live, timedelta(days=14))
    await happen(live, hold_over())
    await later(live, timedelta(days=1))
    await happen(live, reopened())
    seen = []
    for days in (-1, 0, 13, 14, 15):
        moment = (NOON + timedelta(days=days)).isoformat().replace("+00:00", "Z")
        held = await get(live, f"{HERE}/balance?at={moment}", STOREFRONT)
        seen.append((held["pending"], held["available"]))
    assert seen == [(0, 0), (549, 0), (549, 0), (0, 549), (0, 0)]


async def test_a_moment_without_offset_is_refused(live: Live) -> None:
    answer = await live.client.get(f"{HERE}/balance?at=2026-11-02T00:00:00", headers=STOREFRONT)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "at")


@pytest.mark.parametrize(
    ("language", "texts"),
    [
        ("ja", ["ご迷惑をおかけしたお詫び", "ポイントをご利用いただけるようになりました"]),
        ("en", ["To say sorry", "These points can be spent now"]),
    ],
)
async def test_a_statement_tells_it_in_the_customers_language(live: Live, language: str, texts: list[str]) -> None:
    await happen(live, resolved(), hold_over())
    told = await get(live, f"{HERE}/statement?language={language}", STOREFRONT)
    assert [line["text"] for line in told["lines"]] == texts
    assert [(line["change"], line["pending"]) for line in told["lines"]] == [(0, 549), (549, -549)]
    assert (told["available_before"], told["available_after"]) == (0, 549)


async def test_a_period_that_is_none_is_refused(live: Live) -> None:
    query = "begin=2026-11-03T00:00:00Z&end=2026-11-02T00:00:00Z"
    answer = await live.client.get(f"{HERE}/statement?{query}", headers=STOREFRONT)
    assert (answer.status_code, answer.json()["code"]) == (422, "period_is_empty")


def test_every_text_is_there_in_both_languages() -> None:
    assert all(len(texts) == 2 and all(texts.values()) for texts in TEXTS.values())
    assert say("of_tomorrow", next(iter(TEXTS["apology"]))) == "of_tomorrow"


async def test_the_holdout_says_with_an_interval_whether_points_bring_customers_back(live: Live) -> None:
    terms = Terms(RULES, holdout=Settings.model_validate(HELD_OUT).holdout)
    arms = {name: terms.holdout.arm(name) for name in (f"C-{n}" for n in range(60))}
    await happen(live, *(resolved(UUID(int=n), customer_id=f"C-{n}") for n in range(60)), terms=terms)
    await later(live, timedelta(days=10))
    back = [name for n, name in enumerate(arms) if arms[name] == "points" or n % 3 == 0]
    await _order(live, back)
    assert (await get(live, "/v1/loyalty/holdout"))["points"]["customers"] == 0  # nobody was followed for 90 days yet
    await later(live, timedelta(days=85))
    told = await get(live, "/v1/loyalty/holdout")
    words = [name for name, arm in arms.items() if arm == "words"]
    assert (told["words"]["customers"], told["words"]["came_back"]) == (len(words), len(set(words) & set(back)))
    assert (told["points"]["share"], told["confidence"]) == (1.0, 0.95)
    assert 0 < told["difference"]["low"] < told["difference"]["value"] < told["difference"]["high"]
    assert (await get(live, "/v1/loyalty/holdout?days=5"))["points"]["came_back"] == 0


HELD_OUT: dict[str, Any] = {
    "database_url": "postgresql://localhost/x",
    "kafka_bootstrap_servers": "localhost:1",
    "holdout_share": 0.5,
    "holdout_key": KEY,
}


async def _order(live: Live, customers: Sequence[str]) -> None:
    """They all buy again, five days after now."""
    orders = []
    for name in customers:
        told = placed(f"again-{name}")
        later_ = {"customer_id": name, "placed_at": NOON + timedelta(days=15)}
        orders.append(Incoming(told.model_copy(update={"data": told.data.model_copy(update=later_)})))
    async with live.service.pool.acquire() as conn, conn.transaction():
        await live.service.decisions.apply(conn, Orders(), orders)


def test_a_holdout_without_a_key_is_refused() -> None:
    with pytest.raises(ValueError, match="HOLDOUT_KEY"):
        Settings.model_validate({**HELD_OUT, "holdout_key": "short"})
