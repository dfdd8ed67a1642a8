"""The address of a caller, on which limits of sign-in and links count: believed from a named proxy only."""

import pytest
from fastapi import FastAPI, Request

from libs.common.config.settings import ServiceSettings
from libs.common.http.connection_limits import ConnectionLimits
from tests.running import NO_KAFKA
from tests.security.serving import listening

SPOOFED, CALLER = "203.0.113.9", "198.51.100.7"


async def address_seen(trusted: str, forwarded: str) -> str:
    """Return the address that a service sees for a call with this `X-Forwarded-For` from this machine."""
    app = FastAPI()

    @app.get("/address")
    async def address(request: Request) -> str:
        return request.client.host if request.client else ""

    settings = ServiceSettings.model_validate(
        {
            "database_url": "postgresql://nobody@localhost/none",
            "kafka_bootstrap_servers": NO_KAFKA,
            "trusted_proxies": trusted,
        }
    )
    head = f"GET /address HTTP/1.1\r\nHost: shop\r\nConnection: close\r\nX-Forwarded-For: {forwarded}\r\n\r\n"
    async with listening(app, settings, ConnectionLimits()) as raw:
        answer = await raw.exchange(head.encode())
    return answer.rpartition(b"\r\n\r\n")[2].decode().strip('"')


@pytest.mark.parametrize("trusted", ["", "192.0.2.1", "10.0.0.0/8"], ids=["none", "another", "another network"])
async def test_an_address_from_a_caller_that_is_no_named_proxy_is_not_used(trusted: str) -> None:
    assert await address_seen(trusted, SPOOFED) == "127.0.0.1"


@pytest.mark.parametrize("trusted", ["127.0.0.1", "10.0.0.1,127.0.0.0/8"], ids=["address", "network"])
async def test_the_address_from_a_named_proxy_is_used(trusted: str) -> None:
    assert await address_seen(trusted, CALLER) == CALLER


async def test_of_several_addresses_the_one_that_the_proxy_added_counts() -> None:
    assert await address_seen("127.0.0.1", f"{SPOOFED}, {CALLER}") == CALLER


async def test_proxies_in_a_row_are_passed_over() -> None:
    assert await address_seen("127.0.0.1,10.0.0.2", f"{SPOOFED}, {CALLER}, 10.0.0.2") == CALLER
