"""Contacts of orders: field by field, the newest by the shop's time, in any order of arrival."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from libs.common.decisions.order_versions import PlacedVersion
from libs.common.events.values import Contact, ContactChange
from services.delivery_notify.domain.notices import ContactRecorded
from services.delivery_notify.store.contacts import StoredContact, merge, reachable_number

NOON = datetime(2026, 11, 2, 3, tzinfo=UTC)
DAY = timedelta(days=1)
PLACED = Contact(name="山田 花子", email="old@example.jp", phone="090-1234-5678")


def placed(contact: Contact = PLACED, digest: str = "v1", at: datetime = NOON) -> ContactRecorded:
    return ContactRecorded("O-1", "C-1", contact, version=PlacedVersion(digest, NOON, at))


def changed(day: int, **fields: str) -> ContactRecorded:
    return ContactRecorded("O-1", "C-1", ContactChange.model_validate(fields), stated_at=NOON + day * DAY)


def merged(*recorded: ContactRecorded) -> StoredContact:
    stored = StoredContact("O-1", "C-1")
    for each in recorded:
        stored = merge(stored, each)
    return stored


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_newest_statement_of_each_field_counts(order: tuple[int, ...]) -> None:
    events = [placed(), changed(1, email="new@example.jp"), changed(2, phone="+81 90 8765 4321")]
    found = merged(*(events[index] for index in order))
    assert (found.name, found.email, found.phone) == ("山田 花子", "new@example.jp", "+819087654321")


def test_an_order_sent_again_undoes_no_correction_and_other_content_is_one() -> None:
    corrected = (placed(), changed(1, email="new@example.jp"))
    assert merged(*corrected, placed(at=NOON + 9 * DAY)).email == "new@example.jp"
    moved = PLACED.model_copy(update={"email": "newest@example.jp"})
    assert merged(*corrected, placed(moved, "v2", NOON + 9 * DAY)).email == "newest@example.jp"


@pytest.mark.parametrize(
    ("number", "reached"),
    [
        ("090-1234-5678", "+819012345678"),
        ("+81 90 1234 5678", "+819012345678"),
        ("0000000000", None),
        ("000-0000-0000", None),
        ("+81-90-0000-0000", None),
        ("090-1111-1111", None),
        ("none", None),
        ("", None),
        (None, None),
    ],
)
def test_a_number_that_nobody_answers_is_no_way_to_reach_anybody(number: str | None, reached: str | None) -> None:
    assert reachable_number(number) == reached
