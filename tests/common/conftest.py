"""Fixtures: a running sample service with its own database and topics."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import asyncpg
import pytest

from libs.common.config.settings import ServiceSettings
from libs.common.events import topics
from libs.common.messaging import rejections
from libs.common.postgres.db_grants import grant_privileges, user_of
from tests.common import sample_service
from tests.common.consumer_driver import Held
from tests.conftest import MakeDatabase, as_owner
from tests.running import Live, running


@pytest.fixture(autouse=True)
def keeps_refused_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the sample service, which has the name of a real one, keep refused records of the storefront."""
    monkeypatch.setitem(rejections._ANSWERS_FOR, topics.STOREFRONT_ORDERS.name, "loyalty")


@pytest.fixture
async def tally_database(database: MakeDatabase) -> str:
    """Create a database with the common tables and the one table of the sample service."""
    url = await database("loyalty")
    conn = await asyncpg.connect(as_owner(url))
    await conn.execute(sample_service.SCHEMA)
    await grant_privileges(conn, user_of(url))
    await conn.close()
    return url


@pytest.fixture
async def offline(tally_database: str) -> AsyncIterator[Live]:
    """The sample service without Kafka."""
    async with running(sample_service.create_app, ServiceSettings, database=tally_database) as live:
        yield live


@pytest.fixture
async def online(tally_database: str, kafka: str, topics: str) -> AsyncIterator[Live]:
    """The sample service with its consumers assigned."""
    async with running(
        sample_service.create_app, ServiceSettings, database=tally_database, kafka=kafka, prefix=topics
    ) as live:
        yield live


Run = Callable[..., AbstractAsyncContextManager[Live]]


@pytest.fixture
def run(tally_database: str, kafka: str, topics: str) -> Run:
    """`async with run(setting=...)` starts the sample service, repeatedly on the same database and topics."""

    @asynccontextmanager
    async def started(**settings: Any) -> AsyncIterator[Live]:
        service = running(
            sample_service.create_app, ServiceSettings, database=tally_database, kafka=kafka, prefix=topics, **settings
        )
        async with service as live:
            yield live

    return started


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    """The first load is held; later ones are not."""
    held, right = Held(), sample_service.Tallies.load

    async def load(self: sample_service.Tallies, *arguments: Any) -> Any:
        return await (right(self, *arguments) if held.inside.is_set() else held.load(*arguments))

    monkeypatch.setattr(sample_service.Tallies, "load", load)
    return held
