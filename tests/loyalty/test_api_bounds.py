"""Odd and extreme input on every route of loyalty: refused with a 4xx that names the field, never a fault of ours."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest

from services.loyalty.app import create_app
from services.loyalty.domain.commands import MAX_POINTS
from services.loyalty.settings import LoyaltySettings
from tests.running import OPS, STOREFRONT, Live, running

HERE = "/v1/customers/C-1"
REDEMPTION = "8f1a4d0e-3d4b-5c6a-9b2f-2a1f0c9e7d11"
CAUSE = f"issue:{REDEMPTION}:1"
RESERVATION: dict[str, Any] = {"order_id": "A-1", "points": 1}
ADJUSTMENT: dict[str, Any] = {"change": 5, "staff": "sato", "comment": "called twice"}
DECISION: dict[str, Any] = {"approved": True, "staff": "sato", "comment": "a bad month"}


@pytest.fixture
async def live(database: Callable[[str], Awaitable[str]]) -> AsyncIterator[Live]:
    async with running(create_app, LoyaltySettings, database=await database("loyalty")) as live:
        yield live


def keyed(headers: dict[str, str]) -> dict[str, str]:
    return {**headers, "Idempotency-Key": str(uuid4())}


MOMENTS = [
    ("0001-01-01T00:00:00Z", 422),
    ("0001-01-01T00:00:00+14:00", 422),
    ("1999-12-31T23:59:59Z", 422),
    ("2000-01-01T00:00:00Z", 200),
    ("2099-12-31T23:59:59Z", 200),
    ("2100-01-01T00:00:00Z", 422),
    ("9999-12-31T23:59:59-12:00", 422),
    ("2026-02-29T00:00:00Z", 422),
    ("1e400", 422),
]


@pytest.mark.parametrize("path", ["balance?at=", "statement?end="])
async def test_a_moment_outside_of_this_century_is_refused(live: Live, path: str) -> None:
    moments = dict(MOMENTS)
    answers = {
        each: await live.client.get(HERE + f"/{path}" + each.replace("+", "%2B"), headers=OPS) for each in moments
    }
    assert {each: answer.status_code for each, answer in answers.items()} == moments


async def test_a_statement_cannot_begin_at_the_beginning_of_time(live: Live) -> None:
    answer = await live.client.get(f"{HERE}/statement?begin=0001-01-01T00:00:00Z", headers=OPS)
    assert (answer.status_code, "begin" in answer.text) == (422, True)


QUERIES = [
    (f"{HERE}/entries?before=0", "before"),
    (f"{HERE}/entries?before={2**63}", "before"),
    (f"{HERE}/entries?limit=0", "limit"),
    (f"{HERE}/entries?limit=201", "limit"),
    (f"{HERE}/entries?limit=1.5", "limit"),
    (f"{HERE}/statement?language=fr", "language"),
    (f"{HERE}/statement?begin=2026-11-02T00:00:00Z&end=2026-11-02T00:00:00Z", "begin"),
    ("/v1/loyalty/holdout?days=0", "days"),
    ("/v1/loyalty/holdout?days=731", "days"),
    ("/v1/loyalty/reviews?limit=0", "limit"),
    ("/v1/loyalty/reviews?limit=501", "limit"),
]


async def test_a_query_out_of_bounds_is_refused_by_the_name_of_its_field(live: Live) -> None:
    for path, field in QUERIES:
        answer = await live.client.get(path, headers=OPS)
        assert (path, answer.status_code, field in answer.text) == (path, 422, True)


async def test_the_id_of_a_customer_has_at_most_128_characters(live: Live) -> None:
    for path in ("balance", "entries", "statement"):
        for length, status in ((128, 200), (129, 422)):
            answer = await live.client.get(f"/v1/customers/{'C' * length}/{path}", headers=OPS)
            assert (path, length, answer.status_code) == (path, length, status)


BODIES = [
    ("redemptions", STOREFRONT, RESERVATION | {"points": 0}, "points"),
    ("redemptions", STOREFRONT, RESERVATION | {"points": MAX_POINTS + 1}, "points"),
    ("redemptions", STOREFRONT, RESERVATION | {"points": 1.5}, "points"),
    ("redemptions", STOREFRONT, RESERVATION | {"order_id": " "}, "order_id"),
    ("redemptions", STOREFRONT, RESERVATION | {"order_id": "A" * 129}, "order_id"),
    ("redemptions", STOREFRONT, RESERVATION | {"price": 5}, "price"),
    ("adjustments", OPS, ADJUSTMENT | {"change": MAX_POINTS + 1}, "change"),
    ("adjustments", OPS, ADJUSTMENT | {"change": -MAX_POINTS - 1}, "change"),
    ("adjustments", OPS, ADJUSTMENT | {"text": "because"}, "text"),
    ("adjustments", OPS, ADJUSTMENT | {"staff": ""}, "staff"),
    ("adjustments", OPS, ADJUSTMENT | {"comment": " \n "}, "comment"),
    ("adjustments", OPS, ADJUSTMENT | {"comment": "x" * 1001}, "comment"),
    (f"reviews/{CAUSE}", OPS, DECISION | {"approved": "perhaps"}, "approved"),
    (f"reviews/{CAUSE}", OPS, DECISION | {"comment": None}, "comment"),
]


async def test_an_invalid_body_is_refused_by_the_name_of_its_field(live: Live) -> None:
    for path, caller, body, field in BODIES:
        answer = await live.client.post(f"{HERE}/{path}", json=body, headers=keyed(caller))
        assert (body, answer.status_code, field in answer.text) == (body, 422, True)


RAW = [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"order_id": "A-1", "points": 1e999}', b"[" * 10_000]


@pytest.mark.parametrize(("path", "caller"), [("redemptions", STOREFRONT), ("adjustments", OPS)])
async def test_a_body_that_is_not_the_json_of_the_route_is_refused(
    live: Live, path: str, caller: dict[str, str]
) -> None:
    for content in RAW:
        headers = {**keyed(caller), "Content-Type": "application/json"}
        answer = await live.client.post(f"{HERE}/{path}", content=content, headers=headers)
        assert answer.status_code in (400, 422), content[:20]


async def test_the_id_of_a_redemption_is_a_uuid_that_exists(live: Live) -> None:
    for action in ("", "/commit", "/release", "/return"):
        for redemption_id, status in (("1", 422), (REDEMPTION, 404)):
            path = f"{HERE}/redemptions/{redemption_id}{action}"
            call = live.client.post if action else live.client.get
            assert (path, (await call(path, headers=keyed(STOREFRONT))).status_code) == (path, status)


async def test_the_cause_of_a_review_is_that_of_one_resolution(live: Live) -> None:
    for cause in ("issue:1:1", f"issue:{REDEMPTION}", f"{CAUSE}0000000", "order:A-1:100", "%20"):
        answer = await live.client.post(f"{HERE}/reviews/{cause}", json=DECISION, headers=keyed(OPS))
        assert (cause, answer.status_code) == (cause, 422)


async def test_a_review_that_does_not_exist_is_a_conflict_with_the_remedy(live: Live) -> None:
    answer = await live.client.post(f"{HERE}/reviews/{CAUSE}", json=DECISION, headers=keyed(OPS))
    assert (answer.status_code, answer.json()["code"]) == (409, "no_such_review")
    assert "GET /v1/loyalty/reviews" in answer.json()["detail"]


async def test_points_cannot_be_taken_from_a_customer_who_has_none(live: Live) -> None:
    answer = await live.client.post(f"{HERE}/adjustments", json=ADJUSTMENT | {"change": -1}, headers=keyed(OPS))
    assert (answer.status_code, answer.json()["code"]) == (409, "insufficient_points")


async def test_another_method_is_not_allowed(live: Live) -> None:
    for path in ("balance", "entries", "redemptions", f"redemptions/{REDEMPTION}/commit"):
        for method in ("PUT", "PATCH", "DELETE"):
            answer = await live.client.request(method, f"{HERE}/{path}", headers=keyed(STOREFRONT))
            assert (method, path, answer.status_code) == (method, path, 405)


async def test_a_customer_with_an_id_in_any_script_is_one_that_nobody_knows_yet(live: Live) -> None:
    for path, status in (("balance", 200), ("entries", 200), ("statement", 200), (f"redemptions/{REDEMPTION}", 404)):
        answer = await live.client.get(f"/v1/customers/山田%2F花子%20%F0%9F%8C%B8/{path}", headers=STOREFRONT)
        assert (path, answer.status_code) == (path, status)
