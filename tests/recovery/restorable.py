"""Four services that are started and stopped together, on databases of which one can be restored."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import asyncpg

from deploy.local import postgres
from deploy.local.mailbox import Mailbox
from deploy.local.shared_servers import shared_server
from deploy.restore.rejoin import rejoin
from libs.common.privacy.erase_cli import KafkaCluster
from tests.journey.backbone import Backbone, backbone


@dataclass
class RestorableSystem:
    """Four services that are started and stopped together, on databases of which one can be restored."""

    urls: dict[str, str]
    kafka: str
    prefix: str
    evidence: Path
    smtp: Mailbox

    def running(self) -> AbstractAsyncContextManager[Backbone]:
        async def database(service: str) -> str:
            return self.urls[service]

        return backbone(database, self.kafka, self.prefix, self.evidence, self.smtp.url)

    @property
    def cluster(self) -> KafkaCluster:
        return KafkaCluster(self.kafka, self.prefix)

    async def back_up(self, service: str) -> datetime:
        name = postgres.name_of(self.urls[service])
        await self._admin(f"CREATE DATABASE {name}_backup TEMPLATE {name} STRATEGY FILE_COPY")
        return datetime.now(UTC)

    async def restore(self, service: str) -> None:
        name, role = postgres.name_of(self.urls[service]), postgres.name_of(shared_server(service).split()[0])
        await self._admin(
            f"DROP DATABASE {name} WITH (FORCE)",
            f"CREATE DATABASE {name} OWNER {role}_owner TEMPLATE {name}_backup STRATEGY FILE_COPY",
            f"REVOKE ALL ON DATABASE {name} FROM PUBLIC",
            f"GRANT CONNECT ON DATABASE {name} TO {role}",
            f"DROP DATABASE {name}_backup",
        )

    async def rejoin(self, service: str, since: datetime) -> None:
        conn = await asyncpg.connect(self.urls[service])
        try:
            await rejoin(conn, self.cluster, service, since)
        finally:
            await conn.close()

    async def _admin(self, *statements: str) -> None:
        conn = await asyncpg.connect(shared_server("postgres"))
        try:
            for statement in statements:
                await conn.execute(statement)
        finally:
            await conn.close()


async def all_notices_settled(shop: Backbone) -> bool:
    query = "SELECT NOT EXISTS (SELECT FROM notices WHERE settled_at IS NULL)"
    return bool(await shop.delivery_notify.service.pool.fetchval(query))
