"""Mail addresses for replies: signed, short enough for a local part, and valid in any case of letters."""

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.http.reply_addresses import ReplyAddresses, order_digest

OLD, NEW = "the-old-secret-of-links", "the-new-secret-of-links"
ADDRESSES = ReplyAddresses([NEW, OLD], "reply.shop.example")


@given(st.uuids())
def test_an_address_names_its_issue(issue_id: UUID) -> None:
    target = ADDRESSES.read([f"Shop <{ADDRESSES.of_issue(issue_id)}>"])
    assert target
    assert (target.issue_id, target.order_digest) == (issue_id, None)


@given(st.text(min_size=1))
def test_an_address_names_its_order_by_a_digest(order_id: str) -> None:
    target = ADDRESSES.read([ADDRESSES.of_order(order_id)])
    assert target
    assert (target.issue_id, target.order_digest) == (None, order_digest(order_id))


def test_the_local_part_is_legal_and_survives_capital_letters() -> None:
    address = ADDRESSES.of_issue(uuid4())
    assert len(address.partition("@")[0]) == 49
    assert ADDRESSES.read([address.upper()]) == ADDRESSES.read([address])


def test_addresses_of_an_older_secret_are_read() -> None:
    issue_id = uuid4()
    target = ADDRESSES.read([ReplyAddresses([OLD], "reply.shop.example").of_issue(issue_id)])
    assert target
    assert target.issue_id == issue_id


def test_the_first_valid_address_of_several_counts() -> None:
    first, second = uuid4(), uuid4()
    forged = ReplyAddresses(["another secret"], "x.example").of_issue(first)
    target = ADDRESSES.read(["a@b.example", f"{forged}, {ADDRESSES.of_issue(second)}"])
    assert target
    assert target.issue_id == second


@pytest.mark.parametrize("position", [6, 7, 20, 40, 48])
def test_a_changed_address_is_none(position: int) -> None:
    address = ADDRESSES.of_issue(UUID(int=2**127))
    other = "o" if address[position] == "i" else "q" if address[position] != "q" else "r"
    assert ADDRESSES.read([address[:position] + other + address[position + 1 :]]) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "reply+iİ" + "a" * 41 + "@x.jp",
        "reply+@x.jp",
        "reply+i@x.jp",
        "reply+" + "a" * 43 + "@x.jp",
        "reply+i" + "1" * 42 + "@",
    ],
)
def test_other_texts_hold_no_address(text: str) -> None:
    assert ADDRESSES.read([text]) is None
