"""Fixtures: a running sample service with its own database and topics."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from libs.common.config.settings import ServiceSettings
from libs.common.events import topics
from libs.common.messaging import rejections
from libs.common.postgres.db_grants import grant_privileges, user_of
from tests.common import sample_service
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
