"""A partner that was removed from the file is sent nothing more and raises no alert."""

from datetime import UTC, datetime

from services.partners.metrics import of_partners
from services.partners.store.subscriptions import subscription_states
from tests.conftest import MakeDatabase
from tests.partners.service import as_partner, doors, give, partners_toml, payload
from tests.partners.webhook_receiver import PartnerServer, partner_server
from tests.running import eventually


async def arrived(server: PartnerServer, number: int) -> None:
    async def seen() -> bool:
        return len(server.hooks) == number

    await eventually(seen, f"{number} webhooks arrived")


async def test_a_removed_partner_gets_no_webhooks_and_others_do(database: MakeDatabase) -> None:
    url = await database("partners")
    with partner_server() as removed, partner_server() as staying:
        settings = {"webhook_private_networks": "127.0.0.0/8"}
        async with doors(url, **settings) as live:
            for name, server in (("acme", removed), ("other-warehouse", staying)):
                body = {"url": server.url}
                answer = await live.client.post(f"/v1/partner/{name}/webhooks", json=body, headers=as_partner(name))
                assert answer.status_code == 201
            await live.service.pool.execute("UPDATE webhook_subscriptions SET quiet_until = now() + interval '1 hour'")
            await give(live, payload("replacement.ordered.v1"))
        async with doors(url, partners=partners_toml(**{"other-warehouse": "warehouse"}), **settings) as live:
            await live.service.pool.execute("UPDATE webhook_subscriptions SET quiet_until = NULL")
            await give(live, payload("replacement.cancelled.v1"))
            await arrived(staying, 2)
            assert removed.hooks == []
            query = (
                "SELECT sum(attempts) FROM webhook_deliveries d JOIN webhook_subscriptions s USING (subscription_id)"
            )
            assert await live.service.pool.fetchval(f"{query} WHERE s.partner = 'acme'") == 0


async def test_a_removed_partner_is_not_in_the_gauges(database: MakeDatabase) -> None:
    async with doors(await database("partners")) as live:
        for name in ("acme", "other-warehouse"):
            body = {"url": "https://example.com/hooks"}
            await live.client.post(f"/v1/partner/{name}/webhooks", json=body, headers=as_partner(name))
        async with live.service.pool.acquire() as conn:
            found = await of_partners(subscription_states, ["other-warehouse"], conn, datetime.now(UTC))
    assert found == {("other-warehouse", "active"): 1}
