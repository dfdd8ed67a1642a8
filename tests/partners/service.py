"""The running service partners for the tests: its partners and their keys, and calls as one of them."""

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from libs.common.events.envelope import Payload
from libs.common.events.registry import decode
from libs.common.messaging.decision_runner import Incoming
from services.partners.app import create_app
from services.partners.settings import PartnersSettings
from tests.contracts.reading import sample
from tests.running import Live, running

ROLES = {
    "acme": "warehouse",
    "other-warehouse": "warehouse",
    "courier": "courier",
    "pay": "payment",
    "shop": "storefront",
    "second-shop": "storefront",
    "staff": "ops",
}


def key_of(name: str) -> str:
    return f"key-of-{name}-for-tests-only"


def partners_toml(**roles: str) -> str:
    """Return the partners of the tests as TOML, with the digests of their keys."""
    return "\n".join(
        f'[partners.{name}]\nrole = "{role}"\nkey_sha256 = ["{hashlib.sha256(key_of(name).encode()).hexdigest()}"]'
        for name, role in (roles or ROLES).items()
    )


def as_partner(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key_of(name)}"}


@asynccontextmanager
async def doors(database: str, **more: Any) -> AsyncIterator[Live]:
    async with running(
        create_app, PartnersSettings, database=database, **{"partners": partners_toml(), **more}
    ) as live:
        yield live


def payload(name: str, **changes: Any) -> Payload:
    """Return the payload of a committed sample with changed fields."""
    event = sample(name)
    return decode(json.dumps({**event, "data": {**event["data"], **changes}})).data


async def give(live: Live, *payloads: Payload, ids: list[str] | None = None) -> None:
    """Let the service take these in one transaction, as if they came from Kafka."""
    service = live.service
    incoming = [Incoming(service.event(each, id=ids[n] if ids else None)) for n, each in enumerate(payloads)]
    async with service.transaction() as tx:
        await service.decisions.apply(tx.conn, service.aggregates["feed"], incoming)


async def post(live: Live, name: str, body: Any, **headers: str) -> httpx.Response:
    return await live.client.post(
        f"/v1/partner/{name}/events", content=json.dumps(body), headers={**as_partner(name), **headers}
    )


async def fetch(live: Live, name: str, **query: int) -> httpx.Response:
    return await live.client.get(f"/v1/partner/{name}/events", params=query, headers=as_partner(name))


def event(name: str, source: str = "/acme", id: str | None = None, **changes: Any) -> dict[str, Any]:
    """Return a committed sample as this partner would send it."""
    found = sample(name)
    return {**found, "source": source, "id": id or found["id"], "data": {**found["data"], **changes}}


async def published(live: Live) -> list[tuple[str, str, str]]:
    """Topic, key and type of each event that waits for Kafka."""
    rows = await live.service.pool.fetch(
        "SELECT topic, key, convert_from(value, 'utf8')::jsonb ->> 'type' AS type FROM outbox_records ORDER BY id, n"
    )
    return [(row["topic"], row["key"], row["type"]) for row in rows]
