"""Staff routes, statements and past balances in the running app on a real Postgres."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from libs.common.decisions.clock import SharedClock
from libs.common.events.registry import AnyEvent
from libs.common.events.values import Language
from libs.common.messaging.decision_runner import Incoming
from services.loyalty.app import create_app
from services.loyalty.domain.ledger_rules import LedgerRules
from services.loyalty.http.entry_texts import entry_text
from services.loyalty.settings import LoyaltySettings
from services.loyalty.store.ledger import LedgerStore
from services.loyalty.store.orders import OrderStore
from tests.loyalty.histories import CUSTOMER, ISSUE, NOON, RULES, hold_ended, placed, reopened, resolved
from tests.running import OPS, STOREFRONT, Live, running

HERE = f"/v1/customers/{CUSTOMER}"
STRICT = RULES.model_copy(
    update={"limits": RULES.limits.model_copy(update={"max_grants": 1}) if RULES.limits else None}
)
KEY = "a key that nobody knows"


@pytest.fixture
async def live(database: Callable[[str], Awaitable[str]], tmp_path: Path) -> AsyncIterator[Live]:
    url = await database("loyalty")
    SharedClock.create(tmp_path / "clock", NOON, speed=0)
    settings: dict[str, Any] = {"award_rules": STRICT, "holdout_share": 0.5, "holdout_key": KEY}
    async with running(create_app, LoyaltySettings, database=url, clock_file=tmp_path / "clock", **settings) as live:
        yield live


async def happen(live: Live, *events: AnyEvent, rules: LedgerRules | None = None) -> None:
    async with live.service.pool.acquire() as conn, conn.transaction():
        incoming = [Incoming(event) for event in events]
        await live.service.decisions.apply(conn, LedgerStore(rules or LedgerRules(STRICT)), incoming)


async def later(live: Live, span: timedelta) -> None:
    """Advance the shop's clock."""
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


async def test_ops_add_and_take_points_with_staff_and_comment(live: Live) -> None:
    given = await post(live, f"{HERE}/adjustments", GIFT)
    taken = await post(live, f"{HERE}/adjustments", {**GIFT, "change": -100, "text": "correction"})
    assert (given.status_code, taken.status_code, taken.json()["change"]) == (201, 201, -100)
    assert (await get(live, f"{HERE}/balance"))["available"] == 200
    noted = [(entry["staff"], entry["note"]) for entry in (await get(live, f"{HERE}/entries"))["entries"]]
    assert noted == [("sato", "called twice, nobody answered")] * 2


async def test_the_private_note_stays_with_ops(live: Live) -> None:
    await post(live, f"{HERE}/adjustments", GIFT)
    body = await get(live, f"{HERE}/entries", STOREFRONT)
    assert [(entry["staff"], entry["note"], entry["text"]) for entry in body["entries"]] == [(None, None, "goodwill")]
    async with live.service.pool.acquire() as conn:
        assert not await conn.fetchval(
            "SELECT count(*) FROM outbox_records WHERE convert_from(value, 'UTF8') LIKE '%nobody%'"
        )


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
async def test_an_invalid_adjustment_is_refused_by_its_field(
    live: Live, change: dict[str, Any], status: int, named: str
) -> None:
    answer = await post(live, f"{HERE}/adjustments", {**GIFT, **change})
    assert (answer.status_code, answer.json()["detail"].partition(":")[0]) == (status, named)


@pytest.mark.parametrize("path", [f"{HERE}/adjustments", f"{HERE}/reviews/issue:{ISSUE}:1"])
async def test_the_storefront_makes_no_staff_decisions(live: Live, path: str) -> None:
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


async def test_an_invalid_cause_is_refused(live: Live) -> None:
    answer = await post(live, f"{HERE}/reviews/issue:nonsense", {"approved": True, "staff": "s", "comment": "w"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "cause")


async def test_the_balance_of_any_past_moment(live: Live) -> None:
    await happen(live, resolved())
    await later(live, timedelta(days=14))
    await happen(live, hold_ended())
    await later(live, timedelta(days=1))
    await happen(live, reopened())
    seen = []
    for days in (-1, 0, 13, 14, 15):
        moment = (NOON + timedelta(days=days)).isoformat().replace("+00:00", "Z")
        points = await get(live, f"{HERE}/balance?at={moment}", STOREFRONT)
        seen.append((points["pending"], points["available"]))
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
async def test_a_statement_is_in_the_customers_language(live: Live, language: str, texts: list[str]) -> None:
    await happen(live, resolved(), hold_ended())
    body = await get(live, f"{HERE}/statement?language={language}", STOREFRONT)
    assert [line["text"] for line in body["lines"]] == texts
    assert [(line["change"], line["pending"]) for line in body["lines"]] == [(0, 549), (549, -549)]
    assert (body["available_before"], body["available_after"]) == (0, 549)


async def test_an_empty_period_is_refused(live: Live) -> None:
    query = "begin=2026-11-03T00:00:00Z&end=2026-11-02T00:00:00Z"
    answer = await live.client.get(f"{HERE}/statement?{query}", headers=STOREFRONT)
    assert (answer.status_code, answer.json()["code"]) == (422, "empty_period")


def test_an_unknown_code_of_an_entry_is_shown_as_it_is() -> None:
    assert entry_text("of_tomorrow", Language.EN) == "of_tomorrow"


async def test_the_holdout_report_compares_both_arms_with_an_interval(live: Live) -> None:
    rules = LedgerRules(RULES, holdout=LoyaltySettings.model_validate(HELD_OUT).holdout)
    arms = {name: rules.holdout.arm(name) for name in (f"C-{n}" for n in range(60))}
    await happen(live, *(resolved(UUID(int=n), customer_id=f"C-{n}") for n in range(60)), rules=rules)
    await later(live, timedelta(days=10))
    back = [name for n, name in enumerate(arms) if arms[name] == "treatment" or n % 3 == 0]
    await _order(live, back)
    assert (await get(live, "/v1/loyalty/holdout"))["treatment"]["customers"] == 0  # follow-up not over
    await later(live, timedelta(days=85))
    body = await get(live, "/v1/loyalty/holdout")
    control = [name for name, arm in arms.items() if arm == "control"]
    counts = (body["control"]["customers"], body["control"]["reordered"])
    assert counts == (len(control), len(set(control) & set(back)))
    assert (body["treatment"]["share"], body["confidence"]) == (1.0, 0.95)
    assert 0 < body["difference"]["low"] < body["difference"]["value"] < body["difference"]["high"]
    assert (await get(live, "/v1/loyalty/holdout?days=5"))["treatment"]["reordered"] == 0


HELD_OUT: dict[str, Any] = {
    "database_url": "postgresql://localhost/x",
    "kafka_bootstrap_servers": "localhost:1",
    "holdout_share": 0.5,
    "holdout_key": KEY,
}


async def _order(live: Live, customers: Sequence[str]) -> None:
    """Place another order for each of these customers, five days from now."""
    orders = []
    for name in customers:
        body = placed(f"again-{name}")
        placed_later = {"customer_id": name, "placed_at": NOON + timedelta(days=15)}
        orders.append(Incoming(body.model_copy(update={"data": body.data.model_copy(update=placed_later)})))
    async with live.service.pool.acquire() as conn, conn.transaction():
        await live.service.decisions.apply(conn, OrderStore(), orders)


def test_a_holdout_without_a_key_is_refused() -> None:
    with pytest.raises(ValueError, match="holdout_key"):
        LoyaltySettings.model_validate({**HELD_OUT, "holdout_key": "short"})
