"""The clock stops during the audit: no timer fires between the reads of the topics and of the databases."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import asyncpg
import pytest

from deploy.demo.clock_driver import AdjustableClock
from deploy.local.managed_process import ManagedProcess
from deploy.local.ports import LOOPBACK
from deploy.local.processes import ServiceProcess, Supervisor
from libs.common.runtime.in_flight import ConsumerLag
from tests.conftest import MakeDatabase
from tests.faults.quiescence import Quiescence
from tests.faults.replica import Replica
from tests.faults.system import FaultInfrastructure, FaultSystem

BEGIN = datetime(2026, 3, 3, 10, tzinfo=UTC)
SKEW = timedelta(minutes=1)


class NoLag(ConsumerLag):
    async def count(self) -> dict[str, int]:
        return {}


async def _joined_and_idle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\nConnection: close\r\n\r\n{"lag": {}}')
    await writer.drain()
    writer.close()


def _clock(file: Path, shown: datetime) -> AdjustableClock:
    """A real second is a simulated minute."""
    AdjustableClock.create(file, shown, 60)
    return AdjustableClock(file)


def _system(database: str, folder: Path, port: int) -> FaultSystem:
    """One idle process whose clock is a minute off."""
    system = FaultSystem(
        infrastructure=cast("FaultInfrastructure", None),
        supervisor=cast("Supervisor", None),
        databases={"delivery_notify": database},
        prefix="",
        clock=_clock(folder / "all.clock", BEGIN),
        keys={},
        speed=60,
    )
    process = ServiceProcess(ManagedProcess("delivery_notify", (), log=folder / "process.log"), port)
    clock = _clock(folder / "process.clock", BEGIN + SKEW)
    system.replicas["delivery_notify"] = [Replica("delivery_notify", process, clock, SKEW)]
    return system


@pytest.mark.parametrize(
    "due", [None, timedelta(days=3)], ids=["when nothing is due any more", "when the days are over"]
)
async def test_time_stands_still_for_judge_and_services_alike(
    database: MakeDatabase, tmp_path: Path, due: timedelta | None
) -> None:
    url = await database("delivery_notify")
    if due:
        conn = await asyncpg.connect(url)
        await conn.execute("INSERT INTO timers (aggregate, key, name, due_at) VALUES ('a', 'k', 'n', $1)", BEGIN + due)
        await conn.close()
    server = await asyncio.start_server(_joined_and_idle, LOOPBACK, 0)
    async with server:
        system = _system(url, tmp_path, server.sockets[0].getsockname()[1])
        await Quiescence(system, {}, NoLag("", "")).advance_days(1, real_seconds=60)
    clocks = [system.clock, system.all_replicas()[0].clock]
    shown = [clock.now() for clock in clocks]
    await asyncio.sleep(0.05)
    assert [clock.now() for clock in clocks] == shown
    assert shown[1] - shown[0] == SKEW
