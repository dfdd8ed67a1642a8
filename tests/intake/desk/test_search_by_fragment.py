"""The search of the desk with encrypted contacts: what finds what, for whom, and what is recorded."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from libs.common.decisions.clock import SharedClock
from libs.common.events.values import Address, Contact
from libs.common.postgres.column_keys import ColumnKeys
from libs.common.postgres.key_rotation import rotate
from services.intake.app import create_app
from services.intake.desk.accounts import StaffRole
from services.intake.desk.search_pages import MAX_RESULTS
from services.intake.domain.order_contacts import Person
from services.intake.domain.search_tokens import found_in, tokens_of, tokens_of_query
from services.intake.settings import IntakeSettings
from services.intake.store.encrypted_columns import ENCRYPTED_COLUMNS
from tests.conftest import MakeDatabase
from tests.intake.desk.conftest import NAMES, Desk
from tests.intake.event_builders import placed
from tests.intake.issue_states import hire, open_case
from tests.running import running

KEYS = "a-key-of-personal-data-of-more-than-32-characters"


async def place(desk_live: Any, order_id: str, contact: Contact, **fields: Any) -> None:
    event = placed(order_id=order_id, customer_id=f"customer of {order_id}")
    address = Address(name=contact.name, postal_code="600-8000", country="JP", city="京都市", street="木ノ葉町 7")
    data = event.data.model_copy(update={"contact": contact, "ship_to": address, **fields})
    event = event.model_copy(update={"data": data})
    await desk_live.service.execute(desk_live.service.aggregates["orders"], event)


@pytest.fixture
async def desk(database: MakeDatabase, tmp_path: Path) -> AsyncIterator[Desk]:
    async with running(
        create_app, IntakeSettings, database=await database("intake"), evidence_dir=tmp_path, personal_data_keys=KEYS,
        desk_secure_cookies=True,
    ) as live:  # fmt: skip
        for role, name in NAMES.items():
            await hire(live, name, role)
        case = await open_case(live, "SD-2026-0101")
        await case.publish(case.ordered(), case.shipped())
        await place(live, "SD-7001", Contact(name="佐藤 花子", email="Hanako.Sato@example.jp", phone="090-1234-5678"))
        await place(live, "SD-7002", Contact(name="佐藤太郎", email="taro@example.com", phone="+81 80 9999 1111"))
        await place(live, "5123456", Contact(name="Anna Lindqvist"), order_number="#1077")
        yield Desk(live, case, SharedClock.create(tmp_path / "clock", datetime.now(UTC), speed=1))


async def orders_found(desk: Desk, text: str, role: StaffRole = StaffRole.AGENT) -> list[str]:
    staff = await desk.as_(NAMES[role])
    answer = await staff.client.get("/desk/search", params={"q": text})
    assert answer.status_code == 200, answer.headers.get("location")
    return sorted(order for order in ("SD-7001", "SD-7002", "5123456") if f'/desk/orders/{order}"' in answer.text)


@pytest.mark.parametrize(
    ("text", "orders"),
    [
        ("佐藤", ["SD-7001", "SD-7002"]),
        ("花子", ["SD-7001"]),
        ("佐藤花子", ["SD-7001"]),
        ("hanako.sato@example.jp", ["SD-7001"]),
        ("HANAKO", ["SD-7001"]),
        ("sato", ["SD-7001"]),
        ("@example.com", ["SD-7002"]),
        ("5678", ["SD-7001"]),
        ("1234-5678", ["SD-7001"]),
        ("08099991111", ["SD-7002"]),
        ("+81 90-1234-5678", ["SD-7001"]),
        ("0081 (0)90 1234 5678", ["SD-7001"]),
        ("+81 90-1234-9678", []),
        ("lindq", ["5123456"]),
        ("anna lind", ["5123456"]),
        ("1077", ["5123456"]),
        ("#1077", ["5123456"]),
        ("sd-70", ["SD-7001", "SD-7002"]),
        ("7002", ["SD-7002"]),
        ("鈴木", []),
        ("%", []),
        ("_", []),
        ("@", []),
    ],
)
async def test_an_order_is_found_by_a_fragment_of_its_number_or_its_person(
    desk: Desk, text: str, orders: list[str]
) -> None:
    assert await orders_found(desk, text) == orders


async def test_an_issue_is_found_by_the_beginning_of_its_id_its_parcel_its_order_and_its_product(desk: Desk) -> None:
    issue_id = str(desk.case.ids["issue_id"])
    tracking = await desk.live.service.pool.fetchval(
        "SELECT data ->> 'tracking_number' FROM timeline WHERE type = 'issue.replacement_shipped.v1'"
    )
    staff = await desk.as_("hanako")
    for text in (issue_id, issue_id[:8], tracking, tracking[-5:], tracking[:6], "SD-2026-01", "26-0101"):
        answer = await staff.client.get("/desk/search", params={"q": text})
        assert (answer.status_code, answer.headers.get("location")) == (303, f"/desk/issues/{issue_id}"), text
    assert issue_id in (await staff.client.get("/desk/search", params={"q": "ku-1"})).headers.get("location", "")


async def test_all_orders_with_one_beginning_are_found_and_a_full_list_names_its_limit(desk: Desk) -> None:
    staff, contact = await desk.as_("hanako"), Contact(name="Ken")
    for count, says_more in ((40, False), (55, True)):
        for number in range(count):
            await place(desk.live, f"ZZ-{number:03}", contact)
        page = (await staff.client.get("/desk/search", params={"q": "zz-0"})).text
        listed = len(re.findall(r'/desk/orders/ZZ-\d+"', page))
        assert (listed, f"{MAX_RESULTS}" in page.partition('role="status"')[2].partition("</p>")[0]) == (
            min(count, MAX_RESULTS), says_more,
        )  # fmt: skip


async def test_an_order_with_the_very_number_comes_before_those_that_begin_with_it(desk: Desk) -> None:
    contact = Contact(name="Ken")
    for number in range(60):
        await place(desk.live, f"1234-{number:03}", contact)
    await place(desk.live, "9999", contact, order_number="#1234")
    page = (await (await desk.as_("hanako")).client.get("/desk/search", params={"q": "1234"})).text
    assert re.findall(r'/desk/orders/([\w-]+)"', page)[0] == "9999"


async def test_a_viewer_finds_numbers_and_no_persons(desk: Desk) -> None:
    assert await orders_found(desk, "佐藤", StaffRole.VIEWER) == []
    assert await orders_found(desk, "5678", StaffRole.VIEWER) == []


async def test_a_search_is_recorded_without_its_text(desk: Desk) -> None:
    await orders_found(desk, "佐藤")
    rows = await desk.live.service.pool.fetch("SELECT staff, action, about, comment FROM desk_actions")
    assert [(row["staff"], row["action"], row["comment"]) for row in rows] == [
        ("hanako", "search", "issues 0, orders 2")
    ]
    assert "佐藤" not in rows[0]["about"]


async def test_a_contact_that_was_opened_is_recorded_once_a_day(desk: Desk) -> None:
    staff = await desk.as_("hanako")
    for _ in range(3):
        page = await staff.get("/desk/orders/SD-7001")
        assert (page.status_code, "佐藤 花子" in page.text, "090-1234-5678" in page.text) == (200, True, True)
    rows = await desk.live.service.pool.fetch("SELECT subject FROM desk_actions WHERE action = 'contact_seen'")
    assert [row["subject"] for row in rows] == ["order:SD-7001"]


async def test_a_viewer_sees_an_order_without_its_contact(desk: Desk) -> None:
    page = await (await desk.as_("vera")).get("/desk/orders/SD-7001")
    assert (page.status_code, "佐藤" in page.text, "Tetsubin" in page.text) == (200, False, True)


async def test_nothing_of_a_person_is_at_rest_in_clear(desk: Desk) -> None:
    rows = await desk.live.service.pool.fetch("SELECT * FROM order_contacts")
    stored = "\n".join(str(dict(row)) for row in rows)
    assert [word for word in ("佐藤", "hanako", "taro", "5678", "600-8000", "Lindqvist") if word in stored] == []


async def test_rows_that_were_written_without_keys_are_found_after_the_rotation(
    database: MakeDatabase, tmp_path: Path
) -> None:
    url = await database("intake")
    async with running(create_app, IntakeSettings, database=url, evidence_dir=tmp_path) as live:
        await place(live, "SD-7001", Contact(name="佐藤 花子"))
    async with running(
        create_app, IntakeSettings, database=url, evidence_dir=tmp_path, personal_data_keys=KEYS
    ) as live:
        await hire(live, "hanako", StaffRole.AGENT)
        async with live.service.pool.acquire() as conn:
            assert [count async for count in rotate(conn, ENCRYPTED_COLUMNS[0])] == [1]
        case = await open_case(live, "SD-1")
        clock = SharedClock.create(tmp_path / "clock", datetime.now(UTC), speed=1)
        assert await orders_found(Desk(live, case, clock), "花子") == ["SD-7001"]


def test_tokens_of_other_keys_have_nothing_in_common() -> None:
    keys, others = ColumnKeys(["k" * 40]), ColumnKeys(["o" * 40])
    keys.lookup_key, others.lookup_key = b"1" * 32, b"2" * 32
    tokens = tokens_of(Person(name="佐藤 花子", email="hanako@example.jp", phone="09012345678"))
    assert len(tokens) > 10
    assert {keys.token(each) for each in tokens} & {others.token(each) for each in tokens} == set()


@pytest.mark.parametrize("text", ["花", "", "a", "12", "@", "・"])
def test_a_text_that_is_too_short_finds_no_person(text: str) -> None:
    person = Person(name="花子 a", email="a@b.example", phone="0912")
    assert not any(tokens <= tokens_of(person) for tokens in tokens_of_query(text) if tokens != {"d:b.example"})


def test_equal_hashes_do_not_mislead() -> None:
    assert found_in(Person(name="佐藤 花子"), "鈴木") is None
