"""The running service for the tests, with nothing but Postgres and a mail server beside it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from libs.common.events.envelope import Payload
from services.delivery_notify.app import create_app
from services.delivery_notify.settings import NotifySettings
from tests.running import Live, eventually, running

SECRETS = "the-newest-secret-for-tests,an-older-secret-for-tests"


@asynccontextmanager
async def notifying(database: str, smtp_url: str = "discard://", **more: Any) -> AsyncIterator[Live]:
    wanted = {
        "smtp_url": smtp_url,
        "mail_from": "さきだし商店 <shop@example.jp>",
        "public_url": "http://service",
        "link_secrets": SECRETS,
        "notice_batching_minutes": 0,
    }
    async with running(create_app, NotifySettings, database=database, **{**wanted, **more}) as live:
        yield live


async def take(live: Live, *payloads: Payload) -> None:
    """Let the service take these, as if they came from Kafka."""
    service = live.service
    for payload in payloads:
        await service.execute(service.aggregates["conversations"], service.event(payload))


async def settled(live: Live, count: int = 1) -> list[dict[str, Any]]:
    """The notices of the database, once so many are sent, failed or suppressed."""

    async def look() -> list[dict[str, Any]]:
        rows = await live.service.pool.fetch("SELECT * FROM notices ORDER BY made_at, kind")
        done = [dict(row) for row in rows if row["status"] in ("sent", "failed", "suppressed")]
        return done if len(done) >= count else []

    return await eventually(look, f"{count} notices are settled")


async def published(live: Live) -> list[str]:
    """The types of the events that are waiting for Kafka, in order."""
    rows = await live.service.pool.fetch(
        "SELECT convert_from(value, 'utf8')::jsonb ->> 'type' AS type FROM outbox_records ORDER BY id, n"
    )
    return [row["type"] for row in rows]
