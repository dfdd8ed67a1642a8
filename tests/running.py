"""Runs a service in the test: its real app, pool, relay and consumers, and HTTP without a socket."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
from fastapi import FastAPI

from deploy.local.shared_servers import shared_server
from libs.common.config.settings import ServiceSettings
from libs.common.runtime.service import Service

STOREFRONT = {"Authorization": "Bearer storefront-key-for-tests"}
OPS = {"Authorization": "Bearer ops-key-for-tests-only"}
API_KEYS = "storefront:storefront-key-for-tests,ops:ops-key-for-tests-only"

NO_KAFKA = "127.0.0.1:1"
"""Nobody listens there: for tests of a service that never gets to its broker."""

LINK_SECRETS = "a-secret-for-signing-links"
"""All services that are given it read each other's links, as they should."""


def traced() -> dict[str, Any]:
    """Settings of a service whose spans are searched for what no span may hold, see tests/log_leak_plugin.py."""
    return {"otel_exporter_otlp_endpoint": shared_server("spans")}


T = TypeVar("T")
Settings = TypeVar("Settings", bound=ServiceSettings)


@dataclass(frozen=True)
class Live:
    """A running service: `client` calls its HTTP routes, `service` is its object."""

    app: FastAPI
    client: httpx.AsyncClient

    @property
    def service(self) -> Service:
        service: Service = self.app.state.service
        return service


@asynccontextmanager
async def running(
    create_app: Callable[[Settings], FastAPI],
    settings_class: type[Settings],
    *,
    database: str,
    kafka: str = NO_KAFKA,
    prefix: str = "",
    **settings: Any,
) -> AsyncIterator[Live]:
    """Start the service, wait until its consumers are assigned (with a broker), and stop it after the block."""
    app = create_app(
        settings_class.model_validate(
            {
                "database_url": database,
                "kafka_bootstrap_servers": kafka,
                "kafka_topic_prefix": prefix,
                "api_keys": API_KEYS,
                "kafka_session_timeout_ms": 6_000,
                "public_url": "http://service",
                "link_secrets": LINK_SECRETS,
                **settings,
            }
        )
    )
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://service") as client,
    ):
        live = Live(app, client)
        if kafka != NO_KAFKA:
            await eventually(lambda: _started(live), "the consumers are assigned", seconds=60)
        yield live


async def _started(live: Live) -> bool:
    return (await live.client.get("/health/started")).status_code == 200


async def eventually(
    condition: Callable[[], Awaitable[T]], what: str, *, seconds: float = 20, every: float = 0.02
) -> T:
    """Poll the condition until it is true and return its value; fail with `what` after `seconds`."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        found = await condition()
        if found:
            return found
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"after {seconds} s it was still not so that {what} (last seen: {found!r})")
        await asyncio.sleep(every)
