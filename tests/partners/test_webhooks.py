"""Webhooks to partners: signed, in order per key, retried, paused, resent, and never held up by another partner."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from tests.conftest import MakeDatabase
from tests.partners.service import as_partner, doors, give, payload
from tests.partners.webhook_receiver import PartnerServer, partner_server
from tests.running import OPS, Live, eventually

ORDERED, CANCELLED = "replacement.ordered.v1", "replacement.cancelled.v1"
LOOPBACK = "127.0.0.0/8"


@pytest.fixture
def server() -> Iterator[PartnerServer]:
    with partner_server() as running:
        yield running


@pytest.fixture
async def live(database: MakeDatabase) -> AsyncIterator[Live]:
    async with doors(await database("partners"), webhook_private_networks=LOOPBACK) as running:
        yield running


async def subscribe(live: Live, url: str, partner: str = "acme", **more: Any) -> dict[str, str]:
    answer = await live.client.post(
        f"/v1/partner/{partner}/webhooks", json={"url": url, **more}, headers=as_partner(partner)
    )
    assert answer.status_code == 201, answer.text
    made: dict[str, str] = answer.json()
    return made


async def call(live: Live, method: str, path: str, partner: str = "acme", **more: Any) -> Any:
    address = f"/v1/partner/{partner}/webhooks{path}"
    return (await live.client.request(method, address, headers=as_partner(partner), **more)).json()


async def state_of(live: Live) -> dict[str, Any]:
    (found,) = (await call(live, "GET", ""))["subscriptions"]
    shown: dict[str, Any] = found
    return shown


async def arrived(server: PartnerServer, *ids: str) -> None:
    async def seen() -> bool:
        return len(server.ids) >= len(ids)

    await eventually(seen, f"{len(ids)} webhooks arrived")
    assert server.ids == list(ids)


async def settled(live: Live) -> None:
    async def none_pending() -> bool:
        return not await live.service.pool.fetchval("SELECT count(*) FROM webhook_deliveries WHERE state = 'pending'")

    await eventually(none_pending, "no delivery waits")


async def tried(live: Live, attempts: int) -> None:
    async def logged() -> bool:
        return bool(await live.service.pool.fetchval("SELECT count(*) >= $1 FROM webhook_attempts", attempts))

    await eventually(logged, f"{attempts} attempts are logged")


async def retry_now(live: Live) -> None:
    await live.service.pool.execute("UPDATE webhook_deliveries SET due_at = now() WHERE state = 'pending'")
    await live.service.pool.execute("UPDATE webhook_subscriptions SET quiet_until = NULL")


async def test_the_sdk_verifies_a_webhook_with_the_secret_that_was_shown(live: Live, server: PartnerServer) -> None:
    made = await subscribe(live, server.url)
    await give(live, payload(ORDERED), ids=["a"])
    await arrived(server, "a")
    hook = server.hooks[0]
    event = Webhook(made["secret"]).verify(hook.body, hook.headers)
    assert (event["id"], event["type"], event["data"]["ship_to"]["name"]) == ("a", ORDERED, "佐出 花子")
    with pytest.raises(WebhookVerificationError):
        Webhook(made["secret"]).verify(hook.body.replace(b"C-1001", b"C-1002"), hook.headers)


async def test_two_secrets_are_valid_during_a_rotation_and_one_after_it(live: Live, server: PartnerServer) -> None:
    made = await subscribe(live, server.url)
    newer = await call(live, "POST", f"/{made['subscription_id']}/secrets")
    await give(live, payload(ORDERED), ids=["a"])
    await arrived(server, "a")
    for secret in (made["secret"], newer["secret"]):
        Webhook(secret).verify(server.hooks[0].body, server.hooks[0].headers)
    assert await call(live, "DELETE", f"/{made['subscription_id']}/secrets/old") == {"deleted": 1}
    await give(live, payload(ORDERED), ids=["b"])
    await arrived(server, "a", "b")
    Webhook(newer["secret"]).verify(server.hooks[1].body, server.hooks[1].headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(made["secret"]).verify(server.hooks[1].body, server.hooks[1].headers)


async def test_a_secret_is_shown_once_and_is_not_stored_in_clear(database: MakeDatabase, server: PartnerServer) -> None:
    keys = "a-key-for-tests-of-the-encryption-at-rest"
    more: Any = {"webhook_private_networks": LOOPBACK, "personal_data_keys": keys}
    async with doors(await database("partners"), **more) as live:
        made = await subscribe(live, server.url)
        assert made["secret"] not in str(await call(live, "GET", ""))
        stored = await live.service.pool.fetchval("SELECT secret FROM webhook_secrets")
        assert made["secret"].encode() not in stored
        await give(live, payload(ORDERED), ids=["a"])
        await arrived(server, "a")
        Webhook(made["secret"]).verify(server.hooks[0].body, server.hooks[0].headers)


async def test_a_subscription_gets_its_types_only_and_old_events_if_it_asks(live: Live, server: PartnerServer) -> None:
    await give(live, payload(ORDERED), payload(CANCELLED), ids=["old", "cancelled"])
    await subscribe(live, server.url, types=[ORDERED], after=0)
    await give(live, payload(CANCELLED), payload(ORDERED), ids=["c", "new"])
    await arrived(server, "old", "new")
    await settled(live)


async def test_a_failed_event_holds_back_its_key_and_no_other(live: Live, server: PartnerServer) -> None:
    server.reply = lambda hook: (500 if hook.id == "a1" else 204, {}, b"")
    await subscribe(live, server.url)
    other = {"customer_id": "C-2"}
    await give(live, payload(ORDERED), payload(CANCELLED), payload(ORDERED, **other), ids=["a1", "a2", "b1"])
    await tried(live, 2)
    assert sorted(server.ids) == ["a1", "b1"]
    server.reply = lambda hook: (204, {}, b"")
    await retry_now(live)
    await settled(live)
    assert [each for each in server.ids if each != "b1"] == ["a1", "a1", "a2"]


async def test_an_event_is_retried_by_the_ladder_and_each_attempt_is_logged(live: Live, server: PartnerServer) -> None:
    server.reply = lambda hook: (503, {}, "満員".encode() * 400)
    made = await subscribe(live, server.url)
    await give(live, payload(ORDERED), ids=["a"])
    await tried(live, 1)
    due_in = "SELECT extract(epoch FROM due_at - now()) FROM webhook_deliveries"
    assert 3 < await live.service.pool.fetchval(due_in) < 6.1
    await retry_now(live)
    await tried(live, 2)
    assert 290 < await live.service.pool.fetchval(due_in) < 361
    log = await call(live, "GET", f"/{made['subscription_id']}/attempts")
    assert [(each["attempt"], each["status"], each["event_id"]) for each in log["attempts"]] == [
        (2, 503, "a"),
        (1, 503, "a"),
    ]
    assert log["attempts"][0]["excerpt"].startswith("満員")
    assert len(log["attempts"][0]["excerpt"]) < 400


async def test_an_answer_410_disables_the_subscription_and_resume_sends_what_waited(
    live: Live, server: PartnerServer
) -> None:
    server.reply = lambda hook: (410, {}, b"")
    made = await subscribe(live, server.url)
    await give(live, payload(ORDERED), ids=["a"])
    await tried(live, 1)
    assert ((await state_of(live))["state"], (await state_of(live))["pending"]) == ("disabled", 1)
    await give(live, payload(CANCELLED), ids=["b"])
    server.reply = lambda hook: (204, {}, b"")
    assert (await call(live, "POST", f"/{made['subscription_id']}/resume"))["state"] == "active"
    await settled(live)
    assert server.ids == ["a", "a", "b"]


async def test_a_subscription_that_failed_for_long_is_paused_and_counted(live: Live, server: PartnerServer) -> None:
    server.reply = lambda hook: (500, {}, b"")
    await subscribe(live, server.url)
    await give(live, payload(ORDERED), ids=["a"])
    await tried(live, 1)
    await live.service.pool.execute("UPDATE webhook_subscriptions SET failing_since = now() - interval '73 hours'")
    await retry_now(live)
    await tried(live, 2)
    assert ((await state_of(live))["state"], (await state_of(live))["reason"][:17]) == ("paused", "no success since ")
    await retry_now(live)
    await give(live, payload(ORDERED), ids=["b"])
    assert (await state_of(live))["pending"] == 2


async def test_a_partner_that_hangs_delays_no_other(live: Live, server: PartnerServer) -> None:
    with partner_server() as dead:
        dead.hold = threading.Event()
        await subscribe(live, dead.url)
        await subscribe(live, server.url, partner="other-warehouse")
        many = [payload(ORDERED, customer_id=f"C-{number}") for number in range(60)]
        async with asyncio.timeout(10):
            await give(live, *many, ids=[str(number) for number in range(60)])
            await eventually(lambda: _count(server, 60), "the other partner has everything")
        assert len(dead.hooks) <= 8
        dead.hold.set()


async def _count(server: PartnerServer, least: int) -> bool:
    return len(server.hooks) >= least


async def test_events_can_be_sent_again_by_position(live: Live, server: PartnerServer) -> None:
    made = await subscribe(live, server.url)
    await give(live, *[payload(ORDERED)] * 3, ids=["a", "b", "c"])
    await settled(live)
    span = {"first": 2, "last": 3}
    assert await call(live, "POST", f"/{made['subscription_id']}/resend", json=span) == {"resent": 2}
    await settled(live)
    assert server.ids == ["a", "b", "c", "b", "c"]


async def test_a_span_never_holds_events_of_another_partner(live: Live, server: PartnerServer) -> None:
    made = await subscribe(live, server.url)
    await give(live, payload("refund.requested.v1"), payload("collection.requested.v1"))
    assert await call(live, "POST", f"/{made['subscription_id']}/resend", json={"first": 1, "last": 2}) == {"resent": 0}


async def test_a_redirect_is_a_failure_and_is_not_followed(live: Live, server: PartnerServer) -> None:
    with partner_server() as elsewhere:
        server.reply = lambda hook: (307, {"Location": elsewhere.url}, b"")
        await subscribe(live, server.url)
        await give(live, payload(ORDERED), ids=["a"])
        await tried(live, 1)
        assert elsewhere.hooks == []
    assert (await state_of(live))["failures"] == 1


async def test_ops_manage_the_subscriptions_of_a_partner_and_other_partners_do_not(
    live: Live, server: PartnerServer
) -> None:
    made = await subscribe(live, server.url)
    path = f"/v1/partner/acme/webhooks/{made['subscription_id']}"
    assert (await live.client.delete(path, headers=as_partner("courier"))).status_code == 403
    foreign = f"/v1/partner/courier/webhooks/{made['subscription_id']}"
    assert (await live.client.delete(foreign, headers=as_partner("courier"))).status_code == 404
    assert (await live.client.delete(path, headers=OPS)).status_code == 200


async def test_a_second_subscription_for_a_url_is_refused(live: Live, server: PartnerServer) -> None:
    await subscribe(live, server.url)
    again = await call(live, "POST", "", json={"url": server.url})
    assert again["code"] == "subscription_exists"


async def test_only_types_that_the_partner_receives_can_be_subscribed(live: Live, server: PartnerServer) -> None:
    refused = await call(live, "POST", "", json={"url": server.url, "types": ["refund.requested.v1"]})
    assert (refused["code"], refused["status"]) == ("unknown_type", 422)
