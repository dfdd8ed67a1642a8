"""Misbehaving clients on a real server: no cost to others, and a named refusal each."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import psutil
import pytest
from fastapi import FastAPI, Request

from libs.common.config.settings import ServiceSettings
from libs.common.events.json_text import well_formed
from libs.common.http import body_limit
from libs.common.http.body_limit import BodyLimitMiddleware
from libs.common.http.connection_limits import ConnectionLimits
from libs.common.http.problems import install_problems
from tests.running import NO_KAFKA, eventually
from tests.security.serving import RawClient, listening, rest_of, status_and_code

SHORT = ConnectionLimits(connections=8, head_seconds=0.5, body_seconds=1.0, reading_seconds=0.5)
"""The same limits as always, but for how long and how many, so that a test need not wait."""

HOST = b"Host: shop\r\n"


@pytest.fixture
async def raw() -> AsyncIterator[RawClient]:
    """The server of every service with a small app."""
    app = FastAPI()
    app.add_middleware(BodyLimitMiddleware, repair=well_formed, uploads=("/upload",))
    install_problems(app)

    @app.get("/health/live")
    async def live() -> str:
        return "alive"

    @app.get("/much")
    async def much() -> str:
        return "much " * 1_000_000

    @app.post("/json")
    async def json(data: dict[str, object]) -> int:
        return len(data)

    @app.post("/upload")
    async def upload(request: Request) -> int:
        return len(await request.body())

    database = "postgresql://nobody@localhost/none"
    settings = ServiceSettings.model_validate({"database_url": database, "kafka_bootstrap_servers": NO_KAFKA})
    async with listening(app, settings, SHORT) as raw:
        yield raw


async def test_the_server_answers_as_ever_within_its_limits(raw: RawClient) -> None:
    answer = await raw.exchange(b"GET /health/live HTTP/1.1\r\nConnection: close\r\n", HOST, b"\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    "data",
    [b"", b"GET /health/live HTTP/1.1\r\n" + HOST, b"GET /health/live HTTP/1.1\r\n" + HOST + b"X-Slow: " + b"x" * 100],
    ids=["nothing", "half of the headers", "half of a header"],
)
async def test_a_client_that_does_not_finish_its_headers_is_answered_408_and_closed(
    raw: RawClient, data: bytes
) -> None:
    assert status_and_code(await raw.exchange(data)) == (408, "too_slow")


async def test_a_byte_now_and_then_wins_no_time(raw: RawClient) -> None:
    reader, writer = await raw.connect(b"GET /health/live HTTP/1.1\r\nX-Slow: ")

    async def drip() -> None:
        while not writer.is_closing():
            writer.write(b"x")
            await asyncio.sleep(0.05)

    dripping = asyncio.create_task(drip())
    try:
        assert status_and_code(await rest_of(reader)) == (408, "too_slow")
    finally:
        dripping.cancel()


async def test_a_further_request_on_the_same_connection_has_no_more_time_than_the_first(raw: RawClient) -> None:
    whole = b"GET /health/live HTTP/1.1\r\n" + HOST + b"\r\n"
    answer = await raw.exchange(whole, b"GET /health/live HTTP/1.1\r\n")
    assert answer.count(b"HTTP/1.1 ") == 2
    assert status_and_code(answer) == (408, "too_slow")


async def test_an_upload_that_never_arrives_whole_is_answered_408_and_closed(raw: RawClient) -> None:
    head = b"POST /upload HTTP/1.1\r\nContent-Length: 100000\r\n"
    assert status_and_code(await raw.exchange(head, HOST, b"\r\n", b"--b\r\n")) == (408, "too_slow")


@pytest.mark.parametrize(
    "headers",
    [b"X-Large: " + b"x" * 40_000, b"\r\n".join(b"X-%d: y" % n for n in range(200))],
    ids=["one that is too large", "too many"],
)
async def test_headers_have_a_size_and_a_number(raw: RawClient, headers: bytes) -> None:
    answer = await raw.exchange(b"GET /health/live HTTP/1.1\r\n" + HOST + headers + b"\r\n\r\n")
    assert status_and_code(answer) == (431, "headers_too_large")


async def test_a_header_without_an_end_is_not_kept(raw: RawClient) -> None:
    answer = await raw.exchange(b"GET /health/live HTTP/1.1\r\nX-Endless: ", b"x" * 40_000)
    assert status_and_code(answer) == (431, "headers_too_large")


async def test_an_address_without_an_end_is_not_kept(raw: RawClient) -> None:
    answer = await raw.exchange(b"GET /", b"x" * 40_000)
    assert status_and_code(answer) == (431, "headers_too_large")


async def test_the_body_of_a_call_has_less_time_than_an_upload(raw: RawClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_limit, "BODY_SECONDS", 0.2)
    answer = await raw.exchange(b"POST /json HTTP/1.1\r\nContent-Length: 1000\r\n", HOST, b"\r\n", b"{")
    assert status_and_code(answer) == (408, "too_slow")
    assert b"0.2 s" in answer


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "in chunks"])
async def test_a_body_that_is_too_large_has_a_name(raw: RawClient, announced: bool) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * body_limit.MAX_BODY_BYTES

    content: Any = b"x" * (body_limit.MAX_BODY_BYTES + 1) if announced else chunks()
    async with httpx.AsyncClient(base_url=raw.url) as client:
        answer = await client.post("/json", content=content)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("opening", ["[", '{"a":'])
async def test_json_within_json_within_json_is_no_surprise(raw: RawClient, opening: str) -> None:
    deep, header = (opening * 12_000).encode(), {"Content-Type": "application/json"}
    async with httpx.AsyncClient(base_url=raw.url) as client:
        answer = await client.post("/json", content=deep, headers=header)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_json")


async def test_too_many_connections_get_503_with_retry_after_and_health_still_answers(raw: RawClient) -> None:
    waiting = [await raw.connect(b"POST /upload HTTP/1.1\r\n" + HOST + b"Content-Length: 9\r\n\r\n") for _ in range(9)]
    answer = await raw.exchange(b"GET /much HTTP/1.1\r\n", HOST, b"\r\n")
    assert status_and_code(answer) == (503, "too_many_connections")
    assert b"\r\nretry-after: 1\r\n" in answer.lower()
    alive = await raw.exchange(b"GET /health/live HTTP/1.1\r\nConnection: close\r\n", HOST, b"\r\n")
    assert alive.startswith(b"HTTP/1.1 200 OK")
    assert len(waiting) == 9


async def test_a_refused_connection_is_answered_once(raw: RawClient, caplog: pytest.LogCaptureFixture) -> None:
    waiting = [await raw.connect(b"POST /upload HTTP/1.1\r\n" + HOST + b"Content-Length: 9\r\n\r\n") for _ in range(9)]
    whole = b"POST /json HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\n\r\n{}"
    answer = await raw.exchange(whole + whole)
    assert status_and_code(answer) == (503, "too_many_connections")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert not caplog.records
    assert len(waiting) == 9


async def test_a_refusal_waits_for_the_answer_to_an_earlier_request(raw: RawClient) -> None:
    """A request accepted before the limit was reached is answered first."""
    reader, writer = await raw.connect(b"POST /upload HTTP/1.1\r\n" + HOST + b"Content-Length: 4\r\n\r\n")
    waiting = [await raw.connect(b"POST /upload HTTP/1.1\r\n" + HOST + b"Content-Length: 9\r\n\r\n") for _ in range(8)]
    writer.write(b"4444GET /much HTTP/1.1\r\n" + HOST + b"\r\n")
    answer = await rest_of(reader)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"HTTP/1.1 503 Service Unavailable" in answer
    assert len(waiting) == 8


async def test_far_too_many_connections_cost_no_more_than_their_accept(raw: RawClient) -> None:
    before = len(psutil.Process().net_connections("tcp"))
    for _ in range(60):
        await raw.connect()

    async def closed() -> bool:
        of_the_server = [one for one in psutil.Process().net_connections("tcp") if one.laddr.port == raw.port]
        return len([one for one in of_the_server if one.status == "ESTABLISHED"]) <= 2 * SHORT.connections

    assert before < 60
    await eventually(closed, "the server keeps no more connections than twice its limit")


async def test_a_client_that_does_not_read_its_answers_is_left(raw: RawClient) -> None:
    _, writer = await raw.connect()
    writer.transport.pause_reading()  # type: ignore[attr-defined]

    async def ask_again_and_again() -> None:
        while not writer.transport.is_closing():
            writer.write(b"GET /much HTTP/1.1\r\n" + HOST + b"\r\n")
            await writer.drain()

    with pytest.raises(ConnectionError):
        await asyncio.wait_for(ask_again_and_again(), 60)
