"""Webhooks are sent to public addresses only, and the address is checked when it is connected."""

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import AsyncIterator
from ipaddress import ip_network
from typing import Any

import pytest

from services.partners.domain.webhook_urls import may_connect, url_fault
from services.partners.http.webhooks import MAX_SUBSCRIPTIONS
from services.partners.sending.endpoint import Endpoint
from tests.conftest import MakeDatabase
from tests.partners.service import as_partner, doors
from tests.partners.webhook_receiver import partner_server
from tests.running import Live

LOOPBACK = ip_network("127.0.0.0/8")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "192.0.2.1", "::1", "::", "fe80::1%eth0", "fd00::1", "ff02::1", "::ffff:127.0.0.1",
        "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:db8::1", "fec0::1",
    ],
)  # fmt: skip
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert not may_connect(address, ())


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:4700::1111", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"])
def test_a_public_address_is_allowed(address: str) -> None:
    assert may_connect(address, ())
    assert not may_connect(address, (), is_public_allowed=False)


def test_a_private_network_is_allowed_only_by_the_setting() -> None:
    networks = (ip_network("10.20.0.0/16"),)
    assert may_connect("10.20.3.4", networks)
    assert may_connect("::ffff:10.20.3.4", networks)
    assert not may_connect("10.21.3.4", networks)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/", "ftp://example.com/", "https://", "https://user@example.com/", "https://a:b@example.com/",
        "https://example.com/#a", "https://example.com:99999/", "https://[::1/", "https://例え.jp/", "https://a b/",
        "https://example.com/\n", "file:///etc/passwd", "https://example.com:0/", "x" * 3000, "",
    ],
)  # fmt: skip
def test_a_url_that_webhooks_are_not_sent_to_is_refused(url: str) -> None:
    assert url_fault(url, is_http_allowed=False)


def test_plain_http_needs_a_private_network() -> None:
    assert url_fault("http://warehouse.internal/hooks", is_http_allowed=True) is None
    assert url_fault("https://example.com:8443/hooks?a=b", is_http_allowed=False) is None


async def test_a_name_that_leads_to_this_machine_is_refused_when_it_is_connected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def resolved(host: str, port: int, **_: Any) -> list[Any]:
        return [(2, 1, 6, "", ("127.0.0.1", port))]

    with partner_server() as server:
        port = server.url.rpartition(":")[2]
        monkeypatch.setattr(socket, "getaddrinfo", resolved)
        for url in (f"http://public.example:{port}/", f"https://public.example:{port}/"):
            endpoint = Endpoint(url, (), 5)
            result = await endpoint.post(b"{}", {})
            await endpoint.close()
            assert (result.status, (result.error or "")[:15]) == (None, "address refused")
        assert server.hooks == []


async def test_names_that_are_never_resolved_hold_up_no_other_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve, answered = socket.getaddrinfo, threading.Event()

    def resolved(host: str, port: int, **more: Any) -> list[Any]:
        if host.endswith(".never.example"):
            answered.wait(30)
        return list(resolve("127.0.0.1", port, **more))

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    with partner_server() as server:
        port = server.url.rpartition(":")[2]
        hanging = [Endpoint(f"http://{number}.never.example:{port}/", (LOOPBACK,), 20) for number in range(40)]
        sent = [asyncio.create_task(each.post(b"{}", {})) for each in hanging]
        await asyncio.sleep(0)
        endpoint = Endpoint(server.url, (LOOPBACK,), 10)
        result = await endpoint.post(b"{}", {})
        answered.set()
        await asyncio.gather(*sent)
        for each in (endpoint, *hanging):
            await each.close()
    assert (result.status, result.error) == (204, None)


@pytest.fixture
async def live(database: MakeDatabase) -> AsyncIterator[Live]:
    async with doors(await database("partners")) as running:
        yield running


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "https://user:secret@example.com/", "nonsense"])
async def test_a_subscription_for_such_a_url_is_refused(live: Live, url: str) -> None:
    answer = await live.client.post("/v1/partner/acme/webhooks", json={"url": url}, headers=as_partner("acme"))
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, "invalid_url", "url")


async def test_subscriptions_that_are_made_at_the_same_time_have_the_same_limit(live: Live) -> None:
    urls = [f"https://example.com/{number}" for number in range(MAX_SUBSCRIPTIONS + 20)]
    made = await asyncio.gather(
        *(live.client.post("/v1/partner/acme/webhooks", json={"url": url}, headers=as_partner("acme")) for url in urls)
    )
    assert Counter(each.status_code for each in made) == {201: MAX_SUBSCRIPTIONS, 409: 20}


async def test_a_scheme_in_capitals_is_stored_in_lower_case(live: Live) -> None:
    url = "HTTPS://example.com/Hooks"
    await live.client.post("/v1/partner/acme/webhooks", json={"url": url}, headers=as_partner("acme"))
    listed = await live.client.get("/v1/partner/acme/webhooks", headers=as_partner("acme"))
    assert [each["url"] for each in listed.json()["subscriptions"]] == ["https://example.com/Hooks"]
