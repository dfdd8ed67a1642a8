"""Rotation of the keys of encrypted columns: events and webhook secrets are readable under the new key alone."""

from collections.abc import Iterator
from typing import Any

import pytest
from standardwebhooks import Webhook

from deploy.cli.keys import rotate_service
from libs.common.postgres.column_keys import ColumnKeys
from tests.conftest import MakeDatabase
from tests.partners.service import doors, fetch, give, payload
from tests.partners.test_webhooks import LOOPBACK, ORDERED, arrived, settled, subscribe
from tests.partners.webhook_receiver import PartnerServer, partner_server

OLD, NEW = "the-older-key-for-tests-of-the-rotation", "the-newer-key-for-tests-of-the-rotation"


@pytest.fixture
def server() -> Iterator[PartnerServer]:
    with partner_server() as running:
        yield running


async def test_after_a_rotation_the_new_key_alone_reads_events_and_secrets(
    database: MakeDatabase, server: PartnerServer
) -> None:
    url = await database("partners")
    more: dict[str, Any] = {"webhook_private_networks": LOOPBACK}
    async with doors(url, personal_data_keys=OLD, **more) as live:
        made = await subscribe(live, server.url)
        await give(live, payload(ORDERED), payload("refund.requested.v1"), ids=["a", "money"])
        await settled(live)
    counts = await rotate_service(url, "partners", ColumnKeys([NEW, OLD]))
    assert (counts["feed.value"], counts["webhook_secrets.secret"]) == (2, 1)
    async with doors(url, personal_data_keys=NEW, **more) as live:
        found = (await fetch(live, "acme")).json()["events"]
        assert found[0]["event"]["data"]["ship_to"]["name"] == "佐出 花子"
        assert (await fetch(live, "pay")).json()["events"][0]["event"]["id"] == "money"
        await give(live, payload(ORDERED), ids=["b"])
        await arrived(server, "a", "b")
        Webhook(made["secret"]).verify(server.hooks[1].body, server.hooks[1].headers)
