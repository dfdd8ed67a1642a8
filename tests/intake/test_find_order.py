"""The door without a link: order number and postcode or mail address, and what a guess learns."""

import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import httpx
import pytest

from libs.common.events.storefront import OrderChanged
from libs.common.events.values import Address, Contact, ContactChange, Reporter
from libs.common.http.signed_links import Purpose
from libs.common.postgres import retention
from libs.common.privacy.erasure import Erasure
from services.intake.app import create_app
from services.intake.customer_pages.order_lookup import NETWORK_LIMIT, NUMBER_LIMIT, OWN_LIMIT
from services.intake.domain.order_contacts import number_key
from services.intake.settings import IntakeSettings
from services.intake.store import order_lookups
from services.intake.store.erasure import erase
from services.intake.store.order_contacts import retention_sweep
from tests.conftest import MakeDatabase
from tests.intake.event_builders import CUSTOMER, ORDER, delivered, event, placed
from tests.intake.service_calls import body, report, reported
from tests.running import Live, running

MAIL, POSTCODE = "hanako@example.jp", "150-0001"
KEYS = "a-key-of-personal-data-of-more-than-32-characters"
TYPED = re.compile(r'(name="(form|number)" value=")[^"]*')
_addresses = count(1)


class Visitor:
    """A browser at an address of its own, with the form of the page."""

    def __init__(self, live: Live, address: str | None = None) -> None:
        address = address or f"203.0.{next(_addresses)}.1"
        transport = httpx.ASGITransport(live.app, raise_app_exceptions=False, client=(address, 1))
        self.client = httpx.AsyncClient(transport=transport, base_url="https://shop.example")
        self.form = ""

    async def look_up(self, number: str = ORDER, proof: str = POSTCODE, **headers: str) -> httpx.Response:
        self.form = self.form or await self.open()
        fields = {"number": number, "proof": proof, "form": self.form}
        return await self.client.post("/find?lang=en", data=fields, headers=headers)

    async def open(self) -> str:
        page = await self.client.get("/find?lang=en")
        assert page.status_code == 200
        found = re.search(r'name="form" value="([^"]+)"', page.text)
        assert found
        return found[1]


def hurry(live: Live, seconds: float = 0.0) -> None:
    pages = live.app.state.customer_pages
    live.app.state.customer_pages = replace(pages, lookup=replace(pages.lookup, refusal_seconds=seconds))


@asynccontextmanager
async def shop(database: MakeDatabase, folder: Path, **settings: Any) -> AsyncIterator[Live]:
    url = await database("intake")
    async with running(create_app, IntakeSettings, database=url, evidence_dir=folder, **settings) as live:
        await take(live, placed(at=datetime.now(UTC)), delivered(at=datetime.now(UTC)))
        hurry(live)
        yield live


async def take(live: Live, *events: Any) -> None:
    for each in events:
        await live.service.execute(live.service.aggregates["orders"], each)


@pytest.fixture
async def door(database: MakeDatabase, tmp_path: Path) -> AsyncIterator[Live]:
    async with shop(database, tmp_path, personal_data_keys=KEYS) as live:
        yield live


@pytest.mark.parametrize(
    ("number", "proof"),
    [
        (ORDER, POSTCODE),
        (ORDER, "1500001"),
        (ORDER, "〒150-0001".removeprefix("〒")),
        ("Ｏ－1001".replace("－", "-"), "１５０－０００１"),
        (ORDER, " Hanako@Example.jp "),
        (f" {ORDER.lower()} ", MAIL),
        (f"#{ORDER}", MAIL),
    ],
)
async def test_number_and_proof_open_the_report_form_of_the_order(door: Live, number: str, proof: str) -> None:
    visitor = Visitor(door)
    answer = await visitor.look_up(number, proof)
    assert (answer.status_code, answer.headers["location"].startswith("r/")) == (303, True)
    form = await visitor.client.get(f"/{answer.headers['location']}")
    assert (form.status_code, form.text.count('type="checkbox"'), "Tetsubin" in form.text) == (200, 2, True)


async def test_the_form_lists_the_issues_of_the_order_with_their_status_pages(door: Live) -> None:
    await reported(door)
    visitor = Visitor(door)
    form = await visitor.client.get(f"/{(await visitor.look_up()).headers['location']}")
    (status,) = re.findall(r'href="http://service(/s/[^"]+)"', form.text)
    page = await visitor.client.get(f"{status}?lang=en")
    assert (page.status_code, "Withdraw" in page.text) == (200, True)


WRONG = [(ORDER, "150-0002"), (ORDER, "eve@example.jp"), ("O-9999", POSTCODE), ("O-9999", MAIL), (ORDER, "-")]


async def test_a_wrong_guess_shows_nothing_and_has_one_answer(door: Live) -> None:
    answers = [await Visitor(door).look_up(*guess) for guess in WRONG]
    pages = {TYPED.sub(r"\1", answer.text) for answer in answers}
    own = ("set-cookie", "content-length")
    headers = {frozenset(each for each in answer.headers.items() if each[0] not in own) for answer in answers}
    assert ({answer.status_code for answer in answers}, len(pages), len(headers)) == ({404}, 1, 1)
    assert [
        word for word in ("Tetsubin", "山田", MAIL, POSTCODE, CUSTOMER) if any(word in page for page in pages)
    ] == []


async def test_wrong_guesses_take_the_same_time_whether_or_not_there_is_such_an_order(door: Live) -> None:
    """Medians of interleaved guesses on a real database, with the real delay of refusals, differ by noise only."""
    hurry(door, 0.15)
    times: dict[str, list[float]] = {ORDER: [], "O-9999": []}
    for _ in range(15):
        for number, spent in times.items():
            visitor = Visitor(door)
            visitor.form = await visitor.open()
            before = time.perf_counter()
            assert (await visitor.look_up(number, "150-0002")).status_code == 404
            spent.append(time.perf_counter() - before)
        await door.service.pool.execute("DELETE FROM order_lookup_attempts")
    known, unknown = times.values()
    assert min(known + unknown) >= 0.15
    assert abs(median(known) - median(unknown)) < 0.01, times


async def test_guesses_about_one_order_from_one_network_are_limited_before_the_lookup(door: Live) -> None:
    visitor = Visitor(door)
    answers = [(await visitor.look_up(proof="150-0002")).status_code for _ in range(OWN_LIMIT.most + 1)]
    assert answers == [*[404] * OWN_LIMIT.most, 429]
    last = await visitor.look_up()
    assert (last.status_code, last.headers["retry-after"]) == (429, "900")
    assert (await Visitor(door).look_up()).status_code == 303


async def test_a_number_that_does_not_exist_is_limited_like_one_that_does(door: Live) -> None:
    visitor = Visitor(door)
    answers = [(await visitor.look_up("O-9999")).status_code for _ in range(OWN_LIMIT.most + 1)]
    assert answers == [*[404] * OWN_LIMIT.most, 429]


async def test_guesses_from_one_network_are_limited_over_all_orders(door: Live) -> None:
    visitor = Visitor(door, "2001:db8::1")
    for number in range(NETWORK_LIMIT.most):
        assert (await visitor.look_up(f"O-{number}")).status_code == 404
    assert (await Visitor(door, "2001:db8::2").look_up()).status_code == 429


async def test_guesses_about_one_order_are_limited_over_all_networks(door: Live) -> None:
    for _ in range(NUMBER_LIMIT.most):
        assert (await Visitor(door).look_up(proof="150-0002")).status_code == 404
    assert (await Visitor(door).look_up()).status_code == 429


async def test_all_spellings_of_one_number_are_limited_together(door: Live) -> None:
    visitor, spellings = (
        Visitor(door),
        (ORDER.lower(), f"#{ORDER}", f"##{ORDER}", f" ＃＃＃{ORDER}", "Ｏ-1001", "O- 1001"),
    )
    answers = [(await visitor.look_up(number, "150-0002")).status_code for number in spellings]
    assert answers == [*[404] * OWN_LIMIT.most, 429]


def test_numbers_that_look_up_the_same_orders_are_counted_as_one() -> None:
    assert {number_key(typed) for typed in ("ıd-1", "ID-1", "id-1", "#Id-1")} == {"id-1"}
    assert number_key("##") == number_key("")


async def test_a_customer_who_mistypes_and_then_gets_it_right_starts_again_from_none(door: Live) -> None:
    visitor = Visitor(door)
    for _ in range(3):
        for _ in range(OWN_LIMIT.most - 1):
            await visitor.look_up(proof="150-0002")
        assert (await visitor.look_up()).status_code == 303


async def test_each_use_is_recorded_without_what_was_typed(door: Live) -> None:
    await Visitor(door).look_up()
    await Visitor(door).look_up("O-9999", MAIL)
    rows = await door.service.pool.fetch("SELECT proof, order_id, reader, number_digest FROM order_lookups ORDER BY 1")
    assert [tuple(row)[:3] for row in rows] == [("mail", None, None), ("postcode", ORDER, "customer")]
    assert b"9999" not in rows[0]["number_digest"]


@pytest.mark.parametrize("headers", [{"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}])
async def test_a_form_of_another_site_is_refused(door: Live, headers: dict[str, str]) -> None:
    assert (await Visitor(door).look_up(**headers)).status_code == 403


async def test_a_form_that_was_given_to_another_browser_is_refused(door: Live) -> None:
    visitor = Visitor(door)
    await visitor.open()
    visitor.form = await Visitor(door).open()
    assert (await visitor.look_up()).status_code == 403


async def test_mail_only_does_not_accept_a_postcode(database: MakeDatabase, tmp_path: Path) -> None:
    async with shop(database, tmp_path, order_lookup="mail") as live:
        assert [(await Visitor(live).look_up(proof=proof)).status_code for proof in (POSTCODE, MAIL)] == [404, 303]


async def test_a_door_that_is_off_has_no_form(database: MakeDatabase, tmp_path: Path) -> None:
    async with shop(database, tmp_path, order_lookup="off") as live:
        client = Visitor(live).client
        assert (await client.get("/find")).status_code == 404
        assert (await client.post("/find", data={"number": ORDER, "proof": MAIL, "form": "x"})).status_code == 404


async def test_the_postcode_of_a_gift_opens_what_its_receiver_may_see(door: Live) -> None:
    gift = placed(order_id="O-2", at=datetime.now(UTC))
    recipient = Contact(name="Ken", email="ken@example.jp")
    gift = gift.model_copy(update={"data": gift.data.model_copy(update={"recipient": recipient})})
    await take(door, gift)
    readers = []
    for proof in (POSTCODE, "ken@example.jp", MAIL):
        answer = await Visitor(door).look_up("O-2", proof)
        token = answer.headers["location"].removeprefix("r/").partition("?")[0]
        readers.append(door.app.state.customer_pages.links.read_report(token, datetime.now(UTC)).reporter)
    assert readers == [Reporter.RECIPIENT, Reporter.RECIPIENT, Reporter.CUSTOMER]


async def test_a_gift_s_receiver_learns_that_a_line_is_reported_and_not_what_the_buyer_wrote(door: Live) -> None:
    gift, at = placed(order_id="O-2", at=datetime.now(UTC)), datetime.now(UTC)
    recipient = Contact(name="Ken", email="ken@example.jp")
    gift = gift.model_copy(update={"data": gift.data.model_copy(update={"recipient": recipient})})
    await take(door, gift, delivered(order_id="O-2", at=at))
    theirs = (await report(door, body(2, order_id="O-2"))).json()["issue_id"]
    visitor = Visitor(door)
    form = "/" + (await visitor.look_up("O-2")).headers["location"].partition("?")[0]
    fields = {"line:1": "1", "quantity:1": "2", "reason": "defective", "key": "k-1"}
    answer = await visitor.client.post(f"{form}/report?lang=en", data=fields, files={"photos": ("", b"")})
    assert (answer.status_code, "has already been reported" in answer.text, theirs in answer.text) == (409, True, False)
    assert (await visitor.client.get(f"{form}/sent/{theirs}")).status_code == 404


async def test_the_status_page_after_a_report_without_a_link_is_open_for_two_hours(door: Live) -> None:
    visitor = Visitor(door)
    form = "/" + (await visitor.look_up()).headers["location"].partition("?")[0]
    issue_id = (await reported(door)).rpartition("/")[2]
    thanks = await visitor.client.get(f"{form}/sent/{issue_id}")
    (token,) = re.findall(r'href="http://service/s/([^"]+)"', thanks.text)
    expires_at = door.app.state.customer_pages.signed.read(Purpose.STATUS, token).expires_at
    assert abs(expires_at - datetime.now(UTC) - timedelta(hours=2)) < timedelta(minutes=5)


async def test_the_newest_mail_and_postcode_count(door: Live) -> None:
    moved = Address(name="山田花子", postal_code="600-8000", country="JP", city="京都市", street="木ノ葉町 7")
    changed = OrderChanged(
        order_id=ORDER, customer_id=CUSTOMER, changed_at=datetime.now(UTC),
        contact=ContactChange(email="new@example.jp"), ship_to=moved,
    )  # fmt: skip
    await take(door, event(changed, at=datetime.now(UTC)))
    guesses = (MAIL, POSTCODE, "new@example.jp", "600-8000")
    assert [(await Visitor(door).look_up(proof=proof)).status_code for proof in guesses] == [404, 404, 303, 303]


async def test_the_contact_of_an_order_that_was_never_placed_here_is_deleted_in_its_time(door: Live) -> None:
    now = datetime.now(UTC)
    changed = OrderChanged(
        order_id="OLD-1", customer_id="C-9", changed_at=now, contact=ContactChange(email="x@example.jp")
    )
    await take(door, event(changed, at=now))
    assert await retention.run(door.service.pool, retention_sweep(30), now + timedelta(days=29)) == 0
    await retention.run(door.service.pool, retention_sweep(30), now + timedelta(days=31))
    assert await door.service.pool.fetchval("SELECT count(*) FROM order_contacts WHERE order_id = 'OLD-1'") == 0


async def test_the_number_that_the_customer_knows_finds_the_order(door: Live) -> None:
    order = placed(order_id="5123456789", at=datetime.now(UTC))
    order = order.model_copy(update={"data": order.data.model_copy(update={"order_number": "#1001"})})
    await take(door, order)
    assert [(await Visitor(door).look_up(number)).status_code for number in ("1001", "#1001", "2")] == [
        303,
        303,
        404,
    ]


async def test_capital_letters_of_a_number_do_not_matter(door: Live) -> None:
    await take(door, placed(order_id="sd-Abc-1", at=datetime.now(UTC)))
    found = [(await Visitor(door).look_up(number)).status_code for number in ("SD-ABC-1", "sd-abc-1", "sd-Abc-1")]
    assert found == [303, 303, 303]


async def test_the_record_of_uses_is_deleted_in_its_time_and_no_statement_deletes_the_newest(door: Live) -> None:
    pool, now = door.service.pool, datetime.now(UTC)
    for days in (91, 89, 1):
        await pool.execute(
            "INSERT INTO order_lookups (at, proof, number_digest) VALUES ($1, 'mail', '')", now - timedelta(days=days)
        )
    assert await retention.run(pool, order_lookups.retention_sweep(), now) == 1
    await pool.execute("SELECT delete_order_lookups('infinity', 1000)")
    assert await pool.fetchval("SELECT count(*) FROM order_lookups") == 1


async def test_an_erased_customer_is_found_no_more(door: Live) -> None:
    async with door.service.pool.acquire() as conn, conn.transaction():
        await erase(conn, Erasure(CUSTOMER, uuid4(), datetime.now(UTC)))
    assert await door.service.pool.fetchval("SELECT count(*) FROM order_contacts") == 0
    assert (await Visitor(door).look_up()).status_code == 404
