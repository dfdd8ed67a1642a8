"""A Postgres of this machine with a standby, the databases of some services on it, and its failure."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from deploy.local import postgres
from deploy.local.ports import kept_port
from deploy.local.postgres import Postgres
from deploy.local.postgres_standby import REPLICATED, either, make_synchronous, standby
from tests.faults.proxy import Proxy
from tests.running import eventually


@dataclass
class ReplicatedPostgres:
    """A primary, its standby, and the link between them, which can be cut. `urls` name both servers."""

    primary: Postgres
    standby: Postgres
    link: Proxy
    urls: dict[str, str] = field(default_factory=dict)

    @property
    def programs(self) -> Path:
        """Folder of the programs of Postgres."""
        return Path(self.primary.own_process.command[0]).parent

    async def state(self, query: str, server: Postgres) -> object:
        conn = await asyncpg.connect(server.admin_url)
        try:
            return await conn.fetchval(query)
        finally:
            await conn.close()

    async def has_all(self) -> bool:
        """Return whether the standby has replayed all that the primary has committed."""
        query = "SELECT bool_and(replay_lsn = pg_current_wal_lsn()) FROM pg_stat_replication"
        return bool(await self.state(query, self.primary))

    async def kill_primary(self) -> None:
        """Send SIGKILL to all processes of the primary."""
        await asyncio.to_thread(self.primary.kill)

    async def in_database(self, service: str, query: str) -> object:
        """Return a value from a service's database on the standby."""
        url = postgres.url_of(self.standby.admin_url, database=postgres.name_of(self.urls[service]))
        conn = await asyncpg.connect(url)
        try:
            return await conn.fetchval(query)
        finally:
            await conn.close()


@asynccontextmanager
async def replicated_postgres(services: Iterable[str], *, synchronous: bool) -> AsyncIterator[ReplicatedPostgres]:
    """Run both servers with migrated databases of these services, all of them on the standby already."""
    with ExitStack() as stack:
        primary = stack.enter_context(postgres.server(environ={}, settings=REPLICATED))
        access = await postgres.provision(primary.admin_url, services)
        for service, database in access.items():
            await database.migrate(service)
        link = Proxy("replication", kept_port(), urlsplit(primary.admin_url).port or 0)
        await link.start()
        try:
            second = await asyncio.to_thread(stack.enter_context, standby(primary, upstream=link.port))
            servers = ReplicatedPostgres(primary, second, link)
            servers.urls = {name: either(each.url, primary, second) for name, each in access.items()}
            if synchronous:
                await make_synchronous(primary)
            state = "SELECT coalesce(min(sync_state), '') FROM pg_stat_replication"
            wanted = "sync" if synchronous else "async"

            async def connected() -> bool:
                return await servers.state(state, primary) == wanted and await servers.has_all()

            await eventually(connected, f"the standby is {wanted}", seconds=60)
            yield servers
        finally:
            await link.stop()
