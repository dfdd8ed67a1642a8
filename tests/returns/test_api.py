"""Case routes on the real app and a real Postgres, without Kafka."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from libs.common.decisions.ids import derived_id
from libs.common.events.carrier import ParcelDelivered
from libs.common.events.issues import IssueStaffDecided
from libs.common.events.values import IssueLine, Reason, StaffAction
from libs.common.events.warehouse import ReplacementShipped
from services.returns.app import create_app
from services.returns.domain.commands import CancelCase
from services.returns.settings import ReturnsSettings
from services.returns.store.cases import Cases
from services.returns.store.orders import KnownOrders
from tests.conftest import MakeDatabase
from tests.returns.cases import ISSUE, TUESDAY, accepted, line
from tests.returns.test_store import placed
from tests.running import OPS, STOREFRONT, Live, running

EXPENSIVE = line(price="999999")


@pytest.fixture
async def live(database: MakeDatabase) -> AsyncIterator[Live]:
    async with running(create_app, ReturnsSettings, database=await database("returns")) as live:
        yield live


async def open_case(
    live: Live, *lines: Any, issue_id: UUID = ISSUE, reason: Reason = Reason.DEFECTIVE, at: datetime = TUESDAY
) -> None:
    service = live.service
    order_snapshots, cases = service.aggregates["order_snapshots"], service.aggregates["cases"]
    assert isinstance(order_snapshots, KnownOrders)
    assert isinstance(cases, Cases)
    await service.execute(order_snapshots, service.event(placed()))
    await service.execute(cases, service.event(accepted(reason, *lines, issue_id=issue_id, at=at)))


async def post(live: Live, path: str, body: dict[str, Any], key: str = "k-1") -> httpx.Response:
    return await live.client.post(f"/v1/cases/{ISSUE}{path}", json=body, headers={**OPS, "Idempotency-Key": key})


async def shown(live: Live) -> dict[str, Any]:
    answer = await live.client.get(f"/v1/cases/{ISSUE}", headers=OPS)
    body: dict[str, Any] = answer.json()
    return body


async def test_a_case_is_shown_with_its_headline_and_legs(live: Live) -> None:
    await open_case(live)
    case = await shown(live)
    assert (case["status"], case["outbound"]["status"]) == ("replacement_ordered", "ordered")


async def test_no_address_is_shown(live: Live) -> None:
    await open_case(live)
    assert "Shibuya" not in str(await shown(live))


async def test_a_case_that_does_not_exist_is_not_found(live: Live) -> None:
    answer = await live.client.get(f"/v1/cases/{ISSUE}", headers=OPS)
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_case")


async def test_cases_in_review_are_listed(live: Live) -> None:
    await open_case(live)
    await open_case(live, EXPENSIVE, issue_id=derived_id("issue", "expensive"))
    answer = await live.client.get("/v1/cases", params={"in_review": True}, headers=OPS)
    assert [case["status"] for case in answer.json()["cases"]] == ["in_review"]


async def test_pages_follow_each_other(live: Live) -> None:
    for number in range(3):
        await open_case(live, issue_id=derived_id("issue", number))
    first = (await live.client.get("/v1/cases", params={"limit": 2}, headers=OPS)).json()
    second = (await live.client.get("/v1/cases", params={"limit": 2, "after": first["next"]}, headers=OPS)).json()
    assert [len(first["cases"]), len(second["cases"]), second["next"]] == [2, 1, None]


@pytest.mark.parametrize("wrong", [{"status": "lost"}, {"limit": 0}, {"limit": 201}, {"order_id": "x" * 129}])
async def test_a_wrong_filter_is_named(live: Live, wrong: dict[str, Any]) -> None:
    answer = await live.client.get("/v1/cases", params=wrong, headers=OPS)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, next(iter(wrong)))


async def test_a_review_is_decided(live: Live) -> None:
    await open_case(live, EXPENSIVE)
    answer = await post(live, "/reviews/value", {"approved": True})
    assert (answer.status_code, (await shown(live))["status"]) == (200, "replacement_ordered")


async def test_the_same_decision_again_gets_the_first_answer(live: Live) -> None:
    await open_case(live, EXPENSIVE)
    first = await post(live, "/reviews/value", {"approved": True})
    again = await post(live, "/reviews/value", {"approved": True})
    assert (again.status_code, again.json()) == (200, first.json())


async def test_a_review_that_is_not_open_is_a_conflict(live: Live) -> None:
    await open_case(live)
    answer = await post(live, "/reviews/value", {"approved": True})
    assert (answer.status_code, answer.json()["code"]) == (409, "no_such_review")


async def test_a_case_is_cancelled_once(live: Live) -> None:
    await open_case(live)
    first = await post(live, "/cancel", {"cause": "customer called"})
    second = await post(live, "/cancel", {"cause": "customer called"}, key="k-2")
    assert [first.status_code, second.status_code, second.json()["code"]] == [200, 409, "too_late_to_cancel"]


async def test_an_open_case_cannot_be_reopened(live: Live) -> None:
    await open_case(live)
    answer = await post(live, "/reopen", {"cause": "defective too"})
    assert (answer.status_code, answer.json()["code"]) == (409, "not_resolved")


async def resolve(live: Live) -> None:
    """Resolve the case: the missing item is delivered on Tuesday."""
    service = live.service
    await open_case(live, reason=Reason.MISSING_ITEM)
    ids = {"issue_id": ISSUE, "replacement_id": (await shown(live))["outbound"]["replacement_id"]}
    for event in (ReplacementShipped(**ids, shipped_at=TUESDAY), ParcelDelivered(**ids, delivered_at=TUESDAY)):
        await service.execute(service.aggregates["cases"], service.event(event))


REOPENINGS = [
    ("/reopen", {"cause": "it came broken"}),
    ("/decisions", {"action": "reopen", "staff": "sato", "comment": "it came broken"}),
]


@pytest.mark.parametrize(("path", "body"), REOPENINGS)
async def test_a_case_whose_replacement_is_reported_itself_is_not_reopened(
    live: Live, path: str, body: dict[str, Any]
) -> None:
    await resolve(live)
    await open_case(live, issue_id=derived_id("issue", "about what was sent"), at=TUESDAY + timedelta(hours=1))
    answer = await post(live, path, body)
    assert (answer.status_code, answer.json()["code"]) == (409, "already_reported")
    assert (await shown(live))["status"] == "resolved"


@pytest.mark.parametrize(("path", "body"), REOPENINGS)
@pytest.mark.parametrize(("lines", "hours", "cancelled"), [([line("2")], 1, False), ([], -1, False), ([], 1, True)])
async def test_other_cases_of_its_order_do_not_keep_it_from_being_reopened(
    live: Live, path: str, body: dict[str, Any], lines: list[IssueLine], hours: int, cancelled: bool
) -> None:
    """Other cases: about another line, accepted before the delivery of the replacement, or cancelled."""
    await resolve(live)
    other = derived_id("issue", "another")
    await open_case(live, *lines, issue_id=other, at=TUESDAY + timedelta(hours=hours))
    if cancelled:
        called = CancelCase(issue_id=other, cause="called")
        await live.service.execute(live.service.aggregates["cases"], live.service.event(called))
    answer = await post(live, path, body)
    assert (answer.status_code, (await shown(live))["status"]) == (200, "replacement_ordered")


async def test_what_intake_has_decided_piece_by_piece_is_not_asked_again(live: Live) -> None:
    await resolve(live)
    await open_case(live, issue_id=derived_id("issue", "another piece"), at=TUESDAY + timedelta(hours=1))
    about = {"issue_id": ISSUE, "order_id": "O-1", "customer_id": "C-1", "decision_id": derived_id("decision", 1)}
    named = {"action": StaffAction.REOPEN, "staff": "sato", "comment": "it came broken", "decided_at": TUESDAY}
    event = live.service.event(IssueStaffDecided(**about, **named), source="/intake")
    await live.service.execute(live.service.aggregates["cases"], event)
    assert (await shown(live))["status"] == "replacement_ordered"


async def test_a_command_for_an_unknown_case_is_not_found(live: Live) -> None:
    answer = await post(live, "/cancel", {"cause": "customer called"})
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_case")


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/cancel", {}, "cause"),
        ("/cancel", {"cause": " "}, "cause"),
        ("/reopen", {"cause": "x", "remedy": "gold"}, "remedy"),
        ("/reviews/value", {"approved": "perhaps"}, "approved"),
        ("/reviews/mood", {"approved": True}, "cause"),
        ("/cancel", {"cause": "x", "by": "me"}, "by"),
    ],
)
async def test_a_wrong_field_is_named(live: Live, path: str, body: dict[str, Any], field: str) -> None:
    answer = await post(live, path, body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


async def test_a_command_without_an_idempotency_key_is_refused(live: Live) -> None:
    answer = await live.client.post(f"/v1/cases/{ISSUE}/cancel", json={"cause": "x"}, headers=OPS)
    assert answer.status_code == 400


@pytest.mark.parametrize(("headers", "status"), [({}, 401), (STOREFRONT, 403)])
async def test_only_ops_may_look(live: Live, headers: dict[str, str], status: int) -> None:
    assert (await live.client.get("/v1/cases", headers=headers)).status_code == status
