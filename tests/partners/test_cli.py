"""`sakidashi webhooks`: events sent again and a subscription resumed by an operator, beside the running service."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from typer.testing import CliRunner, Result

from services.partners.cli.webhooks import app
from tests.conftest import MakeDatabase
from tests.partners.service import doors, give, payload
from tests.partners.test_webhooks import LOOPBACK, ORDERED, settled, subscribe
from tests.partners.webhook_receiver import PartnerServer, partner_server
from tests.running import Live, eventually


@pytest.fixture
def server() -> Iterator[PartnerServer]:
    with partner_server() as running:
        yield running


@pytest.fixture
async def live(database: MakeDatabase) -> AsyncIterator[Live]:
    async with doors(await database("partners"), webhook_private_networks=LOOPBACK) as running:
        yield running


async def run(live: Live, *arguments: str) -> Result:
    environment = {"DATABASE_URL": live.service.settings.database_url}
    return await asyncio.to_thread(CliRunner().invoke, app, list(arguments), env=environment)


async def test_an_operator_sends_a_span_again(live: Live, server: PartnerServer) -> None:
    made = await subscribe(live, server.url)
    await give(live, *[payload(ORDERED)] * 3, ids=["a", "b", "c"])
    await settled(live)
    result = await run(live, "resend", made["subscription_id"], "--from", "1", "--to", "2")
    assert (result.exit_code, result.stdout) == (0, "2 events are sent again\n")
    await settled(live)
    assert server.ids == ["a", "b", "c", "a", "b"]


async def test_an_empty_span_is_an_error(live: Live, server: PartnerServer) -> None:
    made = await subscribe(live, server.url)
    assert (await run(live, "resend", made["subscription_id"], "--from", "7")).exit_code == 1
    assert (await run(live, "resend", made["subscription_id"], "--from", "7", "--to", "3")).exit_code == 2


async def test_an_operator_resumes_a_disabled_subscription(live: Live, server: PartnerServer) -> None:
    server.reply = lambda hook: (410, {}, b"") if len(server.hooks) == 1 else (204, {}, b"")
    made = await subscribe(live, server.url)
    await give(live, payload(ORDERED), ids=["a"])

    async def state() -> str:
        listed = await run(live, "list", "acme")
        assert made["secret"] not in listed.stdout
        return "disabled" if '"disabled"' in listed.stdout else ""

    await eventually(state, "the subscription is disabled")
    assert (await run(live, "resume", "courier", made["subscription_id"])).exit_code == 1
    assert (await run(live, "resume", "acme", made["subscription_id"])).exit_code == 0
    await settled(live)
    assert server.ids == ["a", "a"]
