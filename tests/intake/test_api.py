"""Reports over HTTP: accepted ones, and the problem for each kind of bad input."""

import asyncio
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from services.intake.app import create_app
from services.intake.settings import IntakeSettings
from tests.intake.event_builders import http_id
from tests.intake.service_calls import body, report, reported
from tests.running import OPS, STOREFRONT, Live, running


async def outbox_of(live: Live) -> list[dict[str, Any]]:
    """Return the events in the outbox, in order."""
    rows = await live.service.pool.fetch("SELECT value FROM outbox_records ORDER BY id, n")
    return [json.loads(row["value"]) for row in rows]


def problem(response: httpx.Response) -> tuple[int, str]:
    """Return status and code of a problem, which must have the right media type and a detail."""
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["detail"]
    return response.status_code, response.json()["code"]


async def test_a_report_is_accepted_with_its_id_and_address(live: Live) -> None:
    response = await report(live, key="k-1")
    address = f"/v1/issues/{http_id('k-1')}"
    answer = response.json()
    next_update_by = date.fromisoformat(answer.pop("next_update_by"))
    assert (response.status_code, response.headers["Location"], answer, next_update_by > datetime.now(UTC).date()) == (
        202,
        address,
        {"issue_id": str(http_id("k-1")), "status_url": address, "status": "accepted"},
        True,
    )


async def test_an_accepted_report_is_in_the_outbox_while_kafka_is_down(live: Live) -> None:
    await report(live)
    assert [event["type"] for event in await outbox_of(live)] == ["issue.reported.v1", "issue.accepted.v1"]


async def test_a_refused_report_is_not_in_the_outbox(live: Live) -> None:
    await report(live, body(9))
    assert await outbox_of(live) == []


@pytest.mark.parametrize(
    ("status", "code", "content"),
    [
        (404, "unknown_order", body(order_id="O-none")),
        (403, "foreign_customer", body(customer_id="C-other")),
        (422, "unknown_line", body(line_id="9")),
        (422, "too_many_units", body(3)),
        (422, "not_delivered", body(line_id="2")),
        (422, "invalid", body(0)),
        (422, "invalid", body(reason="ugly")),
        (422, "invalid", body(reason=None)),
        (422, "invalid", body(lines=[])),
        (422, "invalid", body(order_id="")),
        (422, "invalid", body(description="x" * 4001)),
        (422, "invalid", body(issue_id="not-a-uuid")),
    ],
)
async def test_a_report_that_does_not_stand_is_refused(
    live: Live, status: int, code: str, content: dict[str, Any]
) -> None:
    assert problem(await report(live, content)) == (status, code)


async def test_a_report_after_its_window_is_refused(live: Live) -> None:
    later = "UPDATE orders SET body = replace(body::text, $1, '2020-01-01')::jsonb"
    day = await live.service.pool.fetchval("SELECT body #>> '{deliveries,0,day}' FROM orders")
    await live.service.pool.execute(later, day)
    assert problem(await report(live)) == (422, "window_closed")


async def test_a_second_report_for_a_unit_leads_to_the_open_issue(live: Live) -> None:
    first = await report(live, body(2))
    second = await report(live, body(1))
    assert (problem(second), second.json()["issue_url"]) == ((409, "already_reported"), first.headers["Location"])


async def test_malformed_json_is_refused(live: Live) -> None:
    headers = {**STOREFRONT, "Idempotency-Key": "k", "Content-Type": "application/json"}
    assert problem(await live.client.post("/v1/issues", content=b'{"order_id": ', headers=headers)) == (
        400,
        "malformed_json",
    )


async def test_a_body_that_is_not_json_is_refused(live: Live) -> None:
    headers = {**STOREFRONT, "Idempotency-Key": "k", "Content-Type": "text/plain"}
    assert problem(await live.client.post("/v1/issues", content=b"hello", headers=headers)) == (415, "wrong_media_type")


async def test_an_oversized_body_is_refused(live: Live) -> None:
    assert problem(await report(live, body(description="x" * 70_000))) == (413, "body_too_large")


async def test_an_oversized_body_that_hides_its_length_is_refused(live: Live) -> None:
    async def endless() -> Any:
        while True:
            yield b" " * 10_000

    headers = {**STOREFRONT, "Idempotency-Key": "k", "Content-Type": "application/json"}
    assert problem(await live.client.post("/v1/issues", content=endless(), headers=headers)) == (413, "body_too_large")


async def test_a_missing_idempotency_key_is_refused(live: Live) -> None:
    assert problem(await live.client.post("/v1/issues", json=body(), headers=STOREFRONT)) == (
        400,
        "idempotency_key_missing",
    )


@pytest.mark.parametrize("length", [0, 201])
async def test_a_key_of_another_length_is_refused(live: Live, length: int) -> None:
    headers = {**STOREFRONT, "Idempotency-Key": "k" * length}
    assert problem(await live.client.post("/v1/issues", json=body(), headers=headers)) == (422, "invalid")


async def test_the_fast_path_and_fastapi_see_the_same_call(live: Live) -> None:
    usual = {**STOREFRONT, "Authorization": STOREFRONT["Authorization"].replace("Bearer", "bearer")}
    answers = [
        await live.client.post("/v1/issues", json=body(), headers={**headers, "Idempotency-Key": "k"})
        for headers in (STOREFRONT, usual, STOREFRONT)
    ]
    assert {answer.status_code for answer in answers} == {202}
    assert [answer.headers.get("Idempotent-Replayed") for answer in answers] == [None, "true", "true"]
    first, *again = [(answer.json(), answer.headers["Location"]) for answer in answers]
    assert again == [first, first]


async def test_the_same_key_and_body_give_the_same_answer(live: Live) -> None:
    first, again = await report(live, key="k"), await report(live, key="k")
    assert (again.status_code, again.json(), again.headers["Location"]) == (
        202,
        first.json(),
        first.headers["Location"],
    )


async def test_the_same_call_twice_has_one_effect(live: Live) -> None:
    await report(live, key="k")
    await report(live, key="k")
    assert len(await outbox_of(live)) == 2


async def test_the_same_key_with_another_body_is_refused(live: Live) -> None:
    await report(live, key="k")
    assert problem(await report(live, body(2), key="k")) == (422, "idempotency_key_reused")


async def test_an_id_that_exists_is_refused(live: Live) -> None:
    await report(live, body(issue_id=str(http_id("given"))))
    assert problem(await report(live, body(issue_id=str(http_id("given"))))) == (409, "issue_exists")


async def test_many_reports_at_once_for_the_last_unit_accept_exactly_one(live: Live) -> None:
    await report(live, body(1))
    responses = await asyncio.gather(*(report(live, body(1)) for _ in range(40)))
    assert sorted(response.status_code for response in responses) == [202, *[409] * 39]


async def test_processes_that_share_the_database_give_the_last_unit_to_one_report(live: Live, tmp_path: Path) -> None:
    await report(live, body(1))
    url = live.service.settings.database_url
    async with (
        running(create_app, IntakeSettings, database=url, evidence_dir=tmp_path) as second,
        running(create_app, IntakeSettings, database=url, evidence_dir=tmp_path) as third,
    ):
        calls = (report(process, body(1)) for process in [live, second, third] * 15)
        responses = await asyncio.gather(*calls)
    assert sorted(response.status_code for response in responses) == [202, *[409] * 44]


async def test_the_same_call_to_two_processes_at_once_has_one_effect(live: Live, tmp_path: Path) -> None:
    url = live.service.settings.database_url
    async with running(create_app, IntakeSettings, database=url, evidence_dir=tmp_path) as second:
        await asyncio.gather(*(report(process, key="k") for process in [live, second] * 5))
    assert len(await live.service.pool.fetch("SELECT 1 FROM issues")) == 1


@pytest.mark.parametrize(("headers", "expected"), [({}, (401, "unauthenticated")), (OPS, (403, "forbidden"))])
async def test_only_the_storefront_reports(live: Live, headers: dict[str, str], expected: tuple[int, str]) -> None:
    answer = await live.client.post("/v1/issues", json=body(), headers={**headers, "Idempotency-Key": "k"})
    assert problem(answer) == expected


@pytest.mark.parametrize("caller", [STOREFRONT, OPS])
async def test_an_issue_is_shown_to_storefront_and_ops(live: Live, caller: dict[str, str]) -> None:
    address = await reported(live)
    shown = (await live.client.get(address, headers=caller)).json()
    assert (shown["status"], shown["lines"], shown["timeline"], shown["photos"]) == (
        "accepted",
        [{"line_id": "1", "quantity": 1, "part": None, "parts": [], "received_instead": None}],
        [],
        [],
    )


async def test_words_of_staff_are_shown_to_staff_alone(live: Live) -> None:
    address = await reported(live)
    issue_id = address.rpartition("/")[2]
    decided = {"staff": "sato", "comment": "SECRET-MEMO", "lines": [{"line_id": "1", "note": "SECRET-MEMO"}]}
    add = """INSERT INTO timeline (issue_id, event_id, at, type, data)
             VALUES ($1::uuid, 'e', now(), 'issue.staff_decided', $2::json)"""
    await live.service.pool.execute(add, UUID(issue_id), json.dumps(decided))
    seen = {
        name: (await live.client.get(address, headers=key)).text for name, key in (("shop", STOREFRONT), ("ops", OPS))
    }
    assert ("SECRET-MEMO" in seen["shop"], "sato" in seen["shop"]) == (False, False)
    assert ("SECRET-MEMO" in seen["ops"], "sato" in seen["ops"]) == (True, True)
    assert "issue.staff_decided" in seen["shop"]


async def test_an_issue_is_shown_to_nobody_else(live: Live) -> None:
    assert problem(await live.client.get(await reported(live))) == (401, "unauthenticated")


async def test_an_unknown_issue_is_refused(live: Live) -> None:
    assert problem(await live.client.get(f"/v1/issues/{http_id('none')}", headers=OPS)) == (404, "unknown_issue")


async def test_a_malformed_id_is_refused(live: Live) -> None:
    assert problem(await live.client.get("/v1/issues/17", headers=OPS)) == (422, "invalid")


async def test_the_published_document_shows_what_a_report_is_made_of(live: Live) -> None:
    document = (await live.client.get("/openapi.json")).json()
    content = document["paths"]["/v1/issues"]["post"]["requestBody"]["content"]["application/json"]
    assert {"order_id", "customer_id", "reason", "lines"} <= content["schema"]["properties"].keys()
