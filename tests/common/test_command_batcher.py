"""HTTP commands: idempotency, group commit, and error answers."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from libs.common.http.problems import Problem
from tests.common import sample_service
from tests.running import OPS, STOREFRONT, Live, eventually


async def cancel(live: Live, key: str | None, order: str = "a", cause: str = "x", **headers: str) -> httpx.Response:
    named = {"Idempotency-Key": key} if key else {}
    body = {"order_id": order, "cause": cause}
    return await live.client.post("/cancellations", json=body, headers={**STOREFRONT, **named, **headers})


async def versions(live: Live) -> dict[str, int]:
    return {row["key"]: row["version"] for row in await live.service.pool.fetch("SELECT key, version FROM tallies")}


async def test_a_command_is_accepted_while_kafka_is_down_and_its_event_waits_in_the_outbox(offline: Live) -> None:
    answer = await cancel(offline, "k1")
    assert (answer.status_code, answer.json()) == (202, {"count": 1})
    assert await offline.service.pool.fetchval("SELECT count(*) FROM outbox_records") == 1


async def test_the_same_key_and_body_gets_the_first_answer_again_and_changes_nothing(offline: Live) -> None:
    first, again = await cancel(offline, "k1"), await cancel(offline, "k1")
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert again.headers["Idempotent-Replayed"] == "true"
    assert await versions(offline) == {"a": 1}


async def test_the_same_key_with_another_body_is_refused(offline: Live) -> None:
    await cancel(offline, "k1")
    answer = await cancel(offline, "k1", cause="other")
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


async def test_a_missing_key_is_named(offline: Live) -> None:
    answer = await cancel(offline, None)
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("Idempotency-Key:")


async def test_the_same_key_at_the_same_time_is_refused_or_gets_the_first_answer(offline: Live) -> None:
    answers = await asyncio.gather(*(cancel(offline, "k1") for _ in range(20)))
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert await versions(offline) == {"a": 1}


async def test_two_keys_of_two_callers_do_not_meet(offline: Live) -> None:
    await cancel(offline, "k1", order="a")
    await cancel(offline, "k2", order="b")
    assert await versions(offline) == {"a": 1, "b": 1}


async def test_many_commands_at_once_share_transactions_and_all_count(offline: Live) -> None:
    answers = await asyncio.gather(*(cancel(offline, f"k{n}", order=f"o{n % 5}") for n in range(200)))
    assert {answer.status_code for answer in answers} == {202}
    transactions_by_order = await versions(offline)
    assert len(transactions_by_order) == 5
    assert sum(transactions_by_order.values()) < 100
    counts = sorted(answer.json()["count"] for answer in answers)
    assert counts == sorted(n for n in range(1, 41) for _ in range(5))


async def test_one_command_that_fails_does_not_fail_those_beside_it(offline: Live) -> None:
    poison = [cancel(offline, "p", cause="poison")]
    answers = await asyncio.gather(*(cancel(offline, f"k{n}", order=f"o{n}") for n in range(20)), *poison)
    assert [answer.status_code for answer in answers] == [202] * 20 + [500]


async def test_a_refused_command_is_a_problem_and_stays_one_when_repeated(
    offline: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample_service, "decide", lambda state, event, now: (state, ()))
    first, again = await cancel(offline, "k1"), await cancel(offline, "k1")
    assert [answer.json()["code"] for answer in (first, again)] == ["nothing_counted"] * 2
    assert first.headers["content-type"] == again.headers["content-type"] == "application/problem+json"


async def test_a_caller_without_a_key_or_with_a_wrong_one_is_turned_away(offline: Live) -> None:
    assert (await offline.client.post("/cancellations", json={})).status_code == 401
    assert (await cancel(offline, "k1", Authorization="Bearer wrong")).status_code == 401
    assert (await cancel(offline, "k1", **OPS)).status_code == 403


async def test_a_timer_set_by_a_command_fires_and_is_gone(offline: Live) -> None:
    await cancel(offline, "k1", cause="set-timer")

    async def twice() -> bool:
        return await versions(offline) == {"a": 2}

    await eventually(twice, "the timer has fired")
    assert await offline.service.pool.fetchval("SELECT count(*) FROM timers") == 0


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_that_is_too_large_is_refused_before_it_is_read_whole(announced: bool, offline: Live) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 1024

    content: Any = b"x" * 102_400 if announced else chunks()
    headers = {**STOREFRONT, "Idempotency-Key": "k", "Content-Type": "application/json"}
    answer = await offline.client.post("/cancellations", content=content, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


async def test_a_refusal_is_decided_again_with_the_same_key_since_its_cause_may_pass(
    offline: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(_: Any) -> Any:
        raise Problem(422, "not_delivered", "lines.0: not delivered yet.")

    monkeypatch.setattr(sample_service, "counted", unknown)
    assert (await cancel(offline, "k1")).status_code == 422
    monkeypatch.undo()
    assert (await cancel(offline, "k1")).status_code == 202


async def test_the_character_nul_never_reaches_postgres(offline: Live) -> None:
    assert (await cancel(offline, "k1", order="a\x00b")).status_code == 202
    answer = await offline.client.get("/ops/dead-letters?state=%00", headers=OPS)
    assert (answer.status_code, answer.json()["code"]) == (400, "nul_character")
