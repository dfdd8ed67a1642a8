"""Secret rotation without downtime: old, both, new, by rolling restarts.

At every step the caller's secret is accepted, and a removed one is refused. Secrets are read at process start.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI

from libs.common.http.signed_links import LinkInvalidError, Purpose, SignedLinks
from libs.common.http.standard_webhooks import check_standard
from libs.common.messaging.decision_runner import Incoming
from libs.common.postgres.pool import create_pool
from services.delivery_notify.channels.channel import EncodedMessage
from services.delivery_notify.channels.webhook import webhook_channel
from services.returns.domain.state.exposure import (
    CourierVisit,
    CustomerExposure,
    find_shared_visit,
)
from services.returns.settings import ReturnsSettings
from services.returns.store.cases import Cases
from services.returns.store.order_snapshots import OrderSnapshots, address_hashes
from tests.conftest import MakeDatabase
from tests.intake.storefronts.calls import by_shopify
from tests.intake.storefronts.calls import signed as standard_signed
from tests.returns.cases import HOME, ISSUE, RULES, accepted, event_of, open_scenario
from tests.returns.test_store import RUNNER, placed
from tests.security.apps import WEBHOOK_SECRET, app_of, client_of

KEYS = {"old": "an-old-key-of-some-length", "new": "a-new-key-of-some-length"}
SIGNING = {"old": "whsec_" + "b2xk" * 8, "new": "whsec_" + "bmV3" * 8}
STEPS: list[tuple[tuple[str, ...], set[str]]] = [
    (("old",), {"old"}),
    (("new", "old"), {"old", "new"}),
    (("new",), {"new"}),
]
"""Configured secrets, and those accepted then."""

DAY = date(2027, 3, 12)

Ask = Callable[[httpx.AsyncClient, str], Any]


def by_standard(path: str) -> Ask:
    async def ask(client: httpx.AsyncClient, which: str) -> httpx.Response:
        body = b'{"type": "nothing.known"}'
        headers = standard_signed(body, datetime.now(UTC), secret=SIGNING[which])
        return await client.post(path, content=body, headers=headers)

    return ask


async def with_key(client: httpx.AsyncClient, which: str) -> httpx.Response:
    return await client.get("/ops/counters", headers={"Authorization": f"Bearer {KEYS[which]}"})


async def with_shopify(client: httpx.AsyncClient, which: str) -> httpx.Response:
    headers = by_shopify(b'{"id": 1}', "nothing/known", KEYS[which])
    return await client.post("/v1/webhooks/shopify", content=b'{"id": 1}', headers=headers)


SECRETS: dict[str, tuple[str, Mapping[str, str], Ask]] = {
    "api_keys": ("loyalty", {which: f"ops:{key}" for which, key in KEYS.items()}, with_key),
    "webhook_secrets": ("intake", SIGNING, by_standard("/v1/webhooks/standard")),
    "shopify_secrets": ("intake", KEYS, with_shopify),
    "bounce_webhook_secret": ("delivery_notify", SIGNING, by_standard("/v1/mail-reports")),
}


@pytest.mark.parametrize("setting", SECRETS)
async def test_callers_change_over_between_two_restarts(setting: str, tmp_path: Path) -> None:
    service, values, ask = SECRETS[setting]
    for there, good in STEPS:
        app: FastAPI = app_of(service, tmp_path, **{setting: ",".join(values[one] for one in there)})
        async with client_of(app) as client:
            let_in = {which for which in ("old", "new") if (await ask(client, which)).status_code != 401}
        assert let_in == good, f"{setting} with {there}"


def test_a_link_that_was_sent_opens_while_its_secret_is_one_of_several() -> None:
    later = datetime.now(UTC) + timedelta(days=1)
    sent = {which: SignedLinks([key]).token(Purpose.STATUS, later, "an issue") for which, key in KEYS.items()}
    for there, good in STEPS:
        links, opened = SignedLinks([KEYS[one] for one in there]), set()
        for which, token in sent.items():
            try:
                links.read(Purpose.STATUS, token)
            except LinkInvalidError:
                continue
            opened.add(which)
        assert opened == good
        by_the_newest = links.token(Purpose.STATUS, later, "x")
        assert SignedLinks([KEYS[there[0]]]).read(Purpose.STATUS, by_the_newest).subject == ("x",)


def test_a_gateway_that_knows_either_secret_takes_what_we_send() -> None:
    message, now = EncodedMessage(uuid4(), "+819012345678", b'{"type": "sms.send"}'), datetime.now(UTC)
    for there, good in STEPS:
        headers = webhook_channel("sms", "http://gateway", [SIGNING[one] for one in there]).headers(message)
        for which in good:
            assert check_standard([SIGNING[which]], headers, message.content, now) == str(message.idempotency_key)


async def test_a_door_stays_one_door_while_the_key_of_its_hash_is_changed(database: MakeDatabase) -> None:
    """One more customer orders to the address at each step; the visit was requested under the old key."""
    pool = await create_pool(await database("returns"), size=2, application_name="test")
    for number, (there, _) in enumerate(STEPS, start=1):
        settings = {"database_url": "postgresql://none", "kafka_bootstrap_servers": "none:1"}
        read = ReturnsSettings.model_validate(
            {**settings, "address_key": ",".join(KEYS[one] for one in there)}
        ).address_key
        keys = tuple(key.get_secret_value().encode() for key in read)
        order = placed(f"O-{number}").model_copy(update={"customer_id": f"C-{number}"})
        report = event_of(accepted(order_id=f"O-{number}"))
        async with pool.acquire() as conn, conn.transaction():
            await RUNNER.apply(conn, OrderSnapshots(keys), [Incoming(event_of(order))])
            around = (await Cases(RULES, keys).load(conn, [str(ISSUE)], [report]))[str(ISSUE)].state.customer
            doors = {row["address_hash"] for row in await conn.fetch("SELECT address_hash FROM order_snapshots")}
        assert around.other_customers_at_address == number - 1, f"known with {there}"
        assert doors == {around.address_hash} == {address_hashes(keys, HOME)[0]}, (
            f"the first of {there} writes, older ones follow"
        )
        asked_before = CustomerExposure(
            visits={"before": CourierVisit(uuid4(), address_hashes((KEYS["old"].encode(),), HOME)[0], DAY)}
        )
        visit = find_shared_visit(replace(around, exposure=asked_before), open_scenario().known, DAY, within_days=1)
        assert (visit is not None) == ("old" in there), f"with {there}"
    await pool.close()


@pytest.mark.parametrize(
    ("seconds", "code"), [(-280, None), (280, None), (-320, "stale_timestamp"), (320, "stale_timestamp")]
)
async def test_clocks_may_differ_by_minutes_either_way(seconds: int, code: str | None, tmp_path: Path) -> None:
    body, sent_at = b'{"type": "nothing.known"}', datetime.now(UTC) + timedelta(seconds=seconds)
    for service, path in (("intake", "/v1/webhooks/standard"), ("delivery_notify", "/v1/mail-reports")):
        async with client_of(app_of(service, tmp_path)) as client:
            headers = standard_signed(body, sent_at, secret=WEBHOOK_SECRET)
            answer = await client.post(path, content=body, headers=headers)
        assert (answer.status_code, answer.json()["code"] if code else None) == (401 if code else 422, code), (
            answer.text
        )
