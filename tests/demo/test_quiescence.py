"""A snapshot finds work in flight in every place, on real databases and a real broker."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
from aiokafka import AIOKafkaProducer

from deploy.demo.clock_driver import AdjustableClock
from deploy.demo.quiescence import QuiescenceProbe, Snapshot
from tests.conftest import MakeDatabase

NOW = datetime(2026, 3, 1, tzinfo=UTC)
IDLE: dict[str, Any] = {"backlog": 0, "next_at": None, "processed": {}}


@asynccontextmanager
async def answering(answer: Callable[[], dict[str, Any]]) -> AsyncIterator[str]:
    """An address that returns this answer to every request."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                body = json.dumps(answer()).encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        writer.close()
        await writer.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.append(asyncio.ensure_future(talk(reader, writer)))

    talks: list[asyncio.Task[None]] = []
    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        yield f"http://{host}:{port}"
        await asyncio.gather(*talks)


async def look(tmp_path: Path, *, services: dict[str, str] | None = None, **options: Any) -> Snapshot:
    onlooker = QuiescenceProbe(
        AdjustableClock.create(tmp_path / "clock", NOW, 0), options.pop("databases", {}), services or {}, **options
    )
    await onlooker.open()
    try:
        return await onlooker.take_snapshot()
    finally:
        await onlooker.close()


async def put(url: str, statement: str, *values: object) -> None:
    conn = await asyncpg.connect(url)
    try:
        await conn.execute(statement, *values)
    finally:
        await conn.close()


async def test_an_event_that_waits_in_an_outbox_is_found(tmp_path: Path, database: MakeDatabase) -> None:
    url = await database("returns")
    assert not (await look(tmp_path, databases={"returns": url})).busy
    await put(url, "INSERT INTO outbox (topic, key, value) VALUES ('issues', 'k', '{}')")
    assert (await look(tmp_path, databases={"returns": url})).busy == {"outbox of returns": 1}


async def test_a_timer_is_work_when_it_is_due_and_the_next_moment_before(
    tmp_path: Path, database: MakeDatabase
) -> None:
    url = await database("returns")
    timer = "INSERT INTO timers (aggregate, key, name, due_at) VALUES ('case', $1, 'stalled', $2)"
    await put(url, timer, "later", NOW + timedelta(hours=1))
    snapshot = await look(tmp_path, databases={"returns": url})
    assert (snapshot.busy, snapshot.next_at, snapshot.next_notice_at) == ({}, NOW + timedelta(hours=1), None)
    await put(url, timer, "now", NOW)
    assert (await look(tmp_path, databases={"returns": url})).busy == {"timers of returns": 1}


async def test_the_clock_is_to_stop_where_a_broken_promise_is_spoken_of(tmp_path: Path, database: MakeDatabase) -> None:
    url, overdue_at = await database("delivery_notify"), NOW + timedelta(hours=5)
    timer = "INSERT INTO timers (aggregate, key, name, due_at) VALUES ('conversation', 'O1', 'overdue', $1)"
    await put(url, timer, overdue_at)
    assert (await look(tmp_path, databases={"delivery_notify": url})).next_notice_at == overdue_at


NOTICE = """
    INSERT INTO notices (notice_id, order_id, customer_id, kind, facts, made_at, due_at, contact_by)
    VALUES (gen_random_uuid(), 'O1', 'C1', 'issue_rejected', '{}', $1, $1, $2)"""


async def test_a_notice_to_somebody_unknown_is_due_when_the_wait_for_their_address_is_over(
    tmp_path: Path, database: MakeDatabase
) -> None:
    url, wait_ends = await database("delivery_notify"), NOW + timedelta(days=1)
    await put(url, NOTICE, NOW, wait_ends)
    snapshot = await look(tmp_path, databases={"delivery_notify": url})
    assert (snapshot.busy, snapshot.next_notice_at) == ({}, wait_ends)
    await put(url, "INSERT INTO contacts VALUES ('O1', 'C1', 'A', 'a@example.com', 'en')")
    assert (await look(tmp_path, databases={"delivery_notify": url})).busy == {"notices": 1}


async def test_a_record_is_in_flight_until_its_reader_has_processed_it(tmp_path: Path, kafka: str, topics: str) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    written = await producer.send_and_wait(f"{topics}issues", b"{}", b"key")
    await producer.stop()
    processed: dict[str, int] = {}
    async with answering(lambda: {"lag": {}, "processed_offsets": {"issues": processed}}) as url:
        broker = {"bootstrap_servers": kafka, "topic_prefix": topics}
        assert (await look(tmp_path, services={"intake": url}, **broker)).busy == {"intake": 1}
        processed[str(written.partition)] = written.offset + 1
        assert not (await look(tmp_path, services={"intake": url}, **broker)).busy


async def test_a_partner_with_something_to_say_is_busy_and_nobody_else_is_asked(tmp_path: Path) -> None:
    late = (NOW - timedelta(minutes=1)).isoformat()
    async with answering(lambda: {"storefront": {**IDLE, "next_at": late}}) as simulator:
        snapshot = await look(tmp_path, simulator=simulator, services={"intake": "http://127.0.0.1:1"})
    assert snapshot.busy == {"storefront": 1}


async def test_a_mail_that_no_customer_has_read_yet_is_in_flight(tmp_path: Path) -> None:
    mails = {"mails": 3}
    customers = {"customers": {**IDLE, "mails_read": 2}}
    async with answering(lambda: mails) as mail, answering(lambda: customers) as simulator:
        assert (await look(tmp_path, simulator=simulator, mail=mail)).busy == {"mails": 1}
        customers["customers"]["mails_read"] = 3
        assert not (await look(tmp_path, simulator=simulator, mail=mail)).busy
