"""Notices to former contacts: once per change of mail address or delivery address, to the contact as it was."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.local.mailbox import Mailbox
from libs.common.events.notices import NoticeKind
from libs.common.events.storefront import OrderChanged
from libs.common.events.values import Address, ContactChange
from libs.common.postgres.column_keys import keys_of
from services.delivery_notify.domain.contact_statements import record_changed_contact
from services.delivery_notify.domain.context import ConversationDecision
from services.delivery_notify.domain.former_contacts import address_digest
from services.delivery_notify.domain.notices import ContactRecorded
from services.delivery_notify.store.contacts import MAX_FORMER, StoredContact, follow
from tests.conftest import MakeDatabase
from tests.delivery_notify.conversation_driver import CUSTOMER, MONDAY, ORDER, RULES, drive, of, placed
from tests.delivery_notify.order_events import shipped
from tests.delivery_notify.order_requests import requested
from tests.delivery_notify.service import notifying, settled, take
from tests.delivery_notify.test_sender import order

HOME = Address(name="山田 花子", postal_code="1000001", country="JP", city="千代田区", street="千代田1-1")
SPELT = Address(name="山田花子", postal_code="100-0001", country="JP", city="千代田区", street="千代田　１丁目１番")
ELSEWHERE = HOME.model_copy(update={"street": "千代田11"})
OLD, KEYS = "hanako@example.jp", "a-key-of-more-than-32-characters-long"


def changed(hours: int = 1, email: str | None = None, ship_to: Address | None = None, **more: Any) -> OrderChanged:
    contact = ContactChange(email=email) if email else None
    moment = MONDAY + timedelta(hours=hours)
    known = {"order_id": ORDER, "customer_id": CUSTOMER, "changed_at": moment, "contact": contact, "ship_to": ship_to}
    return OrderChanged.model_validate(known | more)


def notified(*recorded: ContactRecorded) -> list[tuple[str | None, str | None]]:
    """Return the mail address and the subject of each notice, in order."""
    stored, found = StoredContact(ORDER, CUSTOMER), list[tuple[str | None, str | None]]()
    for each in recorded:
        stored, notice = follow(stored, each)
        if notice:
            found.append((stored.former[str(notice.notice_id)].get("email"), notice.facts.plan))
    return found


def statements(*events: Any) -> list[ContactRecorded]:
    return of(drive(*events).facts, ContactRecorded)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (changed(email="new@example.jp"), [(OLD, "email")]),
        (changed(ship_to=ELSEWHERE), [(OLD, "address")]),
        (changed(email="new@example.jp", ship_to=ELSEWHERE), [(OLD, "both")]),
        (changed(email="Hanako@Example.JP", ship_to=SPELT), []),
        (changed(contact=ContactChange(name="山田 太郎")), []),
    ],
)
def test_the_contact_as_it_was_reads_what_changed_but_nothing_of_spelling(
    change: OrderChanged, expected: list[tuple[str, str]]
) -> None:
    assert notified(*statements(placed(), change)) == expected


@pytest.mark.parametrize("arrival", list(permutations(range(3))))
def test_each_address_that_was_left_behind_gets_one_notice_in_any_order_of_arrival(arrival: tuple[int, ...]) -> None:
    events = [placed(), changed(1, email="second@example.jp"), changed(2, email="third@example.jp")]
    found = notified(*statements(*(events[index] for index in arrival)))
    assert sorted(email or "" for email, _ in found) == [OLD, "second@example.jp"]


def test_a_change_that_is_sent_again_gives_no_second_notice() -> None:
    first, second = changed(1, email="second@example.jp"), changed(2, email="third@example.jp")
    assert len(notified(*statements(placed(), first, second, first, second, placed()))) == 2


def test_no_notice_is_due_once_everything_has_shipped() -> None:
    assert notified(*statements(placed(), shipped(), changed(ship_to=ELSEWHERE, email="new@example.jp"))) == []


def test_an_order_from_before_addresses_were_compared_takes_any_address_for_a_change() -> None:
    first = statements(placed(ship_to=None))[0]
    assert notified(first, *statements(changed(ship_to=HOME))) == [(OLD, "address")]


def test_an_address_that_the_customer_asked_for_is_announced_by_the_answer_alone() -> None:
    talk = requested("address")
    decision = ConversationDecision(talk.conversation, talk.now, RULES)
    both = changed(10_000, email="new@example.jp", ship_to=ELSEWHERE)
    record_changed_contact(decision, both)
    record_changed_contact(decision, both.model_copy(update={"contact": None}))
    first, second = of(decision.facts, ContactRecorded)
    assert (notified(*statements(placed()), first), notified(*statements(placed()), second)) == ([(OLD, "email")], [])


def test_a_flood_of_changes_keeps_the_newest_former_contacts() -> None:
    events = [changed(hours, email=f"{hours}@example.jp") for hours in range(1, MAX_FORMER + 20)]
    stored = StoredContact(ORDER, CUSTOMER)
    for each in statements(placed(), *events):
        stored, _ = follow(stored, each)
    assert (len(stored.former), list(stored.former.values())[-1]["email"]) == (
        MAX_FORMER,
        f"{MAX_FORMER + 18}@example.jp",
    )


parts = st.text(st.sampled_from("千代田abAB "), min_size=1, max_size=6)
block_numbers = st.lists(st.integers(0, 30), min_size=1, max_size=4)


@given(parts, block_numbers, st.sampled_from(["-", "‐", " - ", "ー", "－", "番"]))
def test_width_case_blanks_and_hyphens_of_an_address_are_spelling(name: str, numbers: list[int], between: str) -> None:
    plain = Address(city="x", street=f"{name} {'-'.join(map(str, numbers))}")
    spelt = f"{name.upper()}　{between.join(map(str, numbers))}".translate({ord(str(n)): 0xFF10 + n for n in range(10)})
    assert address_digest(Address(city="x ", street=spelt)) == address_digest(plain)


@given(block_numbers, block_numbers)
def test_other_numbers_are_another_address(one: list[int], other: list[int]) -> None:
    first, second = (Address(street="千代田" + "-".join(map(str, numbers))) for numbers in (one, other))
    assert (address_digest(first) == address_digest(second)) == (one == other)


@pytest.mark.parametrize("keys", ["", KEYS])
async def test_two_changes_at_once_are_mailed_to_the_contacts_before_each(
    database: MakeDatabase, smtp: Mailbox, keys: str
) -> None:
    """Covers the thief who moves first the goods and then the mails, and columns with and without encryption."""
    now = datetime.now(UTC)
    moved = changed(ship_to=ELSEWHERE, changed_at=now + timedelta(minutes=1))
    renamed = changed(email="thief@example.com", changed_at=now + timedelta(minutes=2))
    again = changed(email="thief2@example.com", changed_at=now + timedelta(minutes=3))
    async with notifying(await database("delivery_notify"), smtp.url, personal_data_keys=keys) as live:
        await take(live, order(), moved, renamed, again)
        rows = await settled(live, 3)
        stored = await live.service.pool.fetchrow("SELECT former, ship_to_digest, sealed FROM contacts")
    assert [row["kind"] for row in rows] == [NoticeKind.CONTACT_CHANGED] * 3
    assert sorted(str(mail["To"]).rpartition("<")[2].strip(">") for mail in smtp.messages) == [
        OLD,
        OLD,
        "thief@example.com",
    ]
    assert not any("千代田11" in mail.as_string() or "thief2" in mail.as_string() for mail in smtp.messages)
    assert stored is not None
    assert (stored["former"] is None, stored["ship_to_digest"] is None) == (bool(keys), bool(keys))


async def test_a_former_address_that_is_suppressed_gets_nothing(database: MakeDatabase, smtp: Mailbox) -> None:
    async with notifying(await database("delivery_notify"), smtp.url, personal_data_keys=KEYS) as live:
        async with live.service.pool.acquire() as conn:
            digest = keys_of(conn).digest(OLD)
        await live.service.pool.execute(
            "INSERT INTO suppressed_addresses VALUES ('email', $1, 'hard_bounce', now())", digest
        )
        await take(live, order(), changed(email="new@example.jp", changed_at=datetime.now(UTC) + timedelta(hours=1)))
        (row,) = await settled(live)
    assert (row["status"], row["cause"], smtp.messages) == ("suppressed", "address_suppressed", [])
