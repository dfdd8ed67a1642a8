"""Bad days, on real parts: Kafka away, Postgres killed, each service killed. Nothing is lost or happens twice."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.kafka import Broker
from deploy.local.postgres import Postgres
from libs.common.events.topics import SERVICES
from tests.faults.system import System, servers, system
from tests.running import eventually

pytestmark = [pytest.mark.faults, pytest.mark.apache, pytest.mark.timeout(240), pytest.mark.xdist_group("faults")]

EFFECTS = ("replacement.ordered.v1", "collection.requested.v1", "points.granted.v1")


@pytest.fixture(scope="module")
def parts() -> Iterator[tuple[Broker, Postgres]]:
    with servers() as started:
        yield started


async def each_effect_is_single(running: System, issues: int) -> None:
    effects = await running.effects()
    for type_ in EFFECTS:
        assert len(effects[type_]) == issues, f"{type_}: of {issues} issues {len(effects[type_])} got it"
        assert set(effects[type_].values()) == {1}, f"{type_} happened twice: {effects[type_].most_common(3)}"


async def test_bad_days_lose_nothing_and_double_nothing(parts: tuple[Broker, Postgres], tmp_path: Path) -> None:
    """One system through all of it, since starting it costs more than breaking it."""
    broker, database = parts
    async with system(broker, database, tmp_path, "bad_days") as running:
        await running.know_orders(60)

        for number, name in enumerate(SERVICES):
            reports = [asyncio.create_task(running.report(n)) for n in range(10 * number, 10 * number + 10)]
            running.service(name).kill()
            running.service(name).start()
            await asyncio.gather(*reports)

        running.kafka.stop()
        accepted = [await running.report(n) for n in range(40, 50)]
        assert len(set(accepted)) == 10
        running.kafka.start()

        reports = [asyncio.create_task(running.report(n)) for n in range(50, 60)]
        await asyncio.to_thread(running.postgres.kill)
        await asyncio.to_thread(running.postgres.start)
        await asyncio.gather(*reports)

        await running.resolved(60)
        await each_effect_is_single(running, 60)


STEPS = ("after_fetch", "after_inbox", "before_commit", "after_commit", "before_offsets", "relay_sent", "relay_deleted")


async def test_a_service_that_dies_at_any_step_leaves_nothing_half_done(
    parts: tuple[Broker, Postgres], tmp_path: Path
) -> None:
    """Returns ends at each named step in turn, without clean-up, and starts again without the trap."""
    broker, database = parts
    async with system(broker, database, tmp_path, "steps") as running:
        await running.know_orders(5 * len(STEPS))
        returns = running.service("returns")

        async def dead() -> bool:
            return not returns.alive

        for number, step in enumerate(STEPS):
            returns.child.env["FAILPOINT"] = step
            returns.restart()
            await asyncio.gather(*(running.report(n) for n in range(5 * number, 5 * number + 5)))
            await eventually(dead, f"returns died at {step}", seconds=60)
            assert returns.child.exit_code == 137, step
            del returns.child.env["FAILPOINT"]
            returns.start()
            await running.resolved(5 * number + 5)
        await each_effect_is_single(running, 5 * len(STEPS))
