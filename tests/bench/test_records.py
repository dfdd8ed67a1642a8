"""Every record of the benchmark is valid by the contract."""

from pathlib import Path

import pytest

from libs.common.events.payment import RefundCompleted
from libs.common.events.registry import AnyEvent, decode, encode
from libs.common.events.storefront import IssueSubmitted
from libs.common.events.warehouse import ReplacementConfirmed
from tests.bench.orders import order_id, order_records, report_call
from tests.bench.partner import answers_to, subject_of

SAMPLES = Path(__file__).parents[1] / "contracts" / "samples"
NOW = "2026-11-02T03:04:05.678Z"


def sample(name: str) -> AnyEvent:
    return decode((SAMPLES / f"{name}.json").read_bytes())


def answered(name: str) -> list[AnyEvent]:
    """The partner's answers to the contract's sample of this event."""
    event = sample(name)
    return [decode(value) for _, value in answers_to(event.data.subject.encode(), encode(event), NOW)]


@pytest.mark.parametrize(
    ("event_type", "answers"),
    [
        ("replacement.ordered.v1", ["replacement.confirmed.v1", "replacement.shipped.v1"]),
        ("issue.replacement_shipped.v1", ["parcel.delivered.v1"]),
        ("collection.requested.v1", ["collection.booked.v1", "collection.collected.v1"]),
        ("issue.collected.v1", ["item.received.v1", "item.inspected.v1"]),
        ("refund.requested.v1", ["refund.completed.v1"]),
        ("issue.resolved.v1", []),
    ],
)
def test_the_partner_answers_with_all_that_follows(event_type: str, answers: list[str]) -> None:
    assert [event.type for event in answered(event_type)] == answers


def test_the_partner_reads_the_issue_from_the_subject() -> None:
    order = sample("replacement.ordered.v1")
    assert subject_of(encode(order)) == order.data.subject.encode()


def test_the_warehouse_promises_the_day_that_was_promised() -> None:
    confirmed = answered("replacement.ordered.v1")[0].data
    assert isinstance(confirmed, ReplacementConfirmed)
    assert confirmed.ship_date == sample("replacement.ordered.v1").data.promised_ship_date  # type: ignore[attr-defined]


def test_the_provider_pays_what_was_asked_for() -> None:
    paid = answered("refund.requested.v1")[0].data
    assert isinstance(paid, RefundCompleted)
    assert paid.amount.amount == sample("refund.requested.v1").data.amount.amount  # type: ignore[attr-defined]


def test_answers_about_two_issues_have_different_ids() -> None:
    order = encode(sample("replacement.ordered.v1"))
    ids = {decode(value).id for issue in (b"1" * 8, b"2" * 8) for *_, value in answers_to(_uuid(issue), order, NOW)}
    assert len(ids) == 4


def _uuid(eight: bytes) -> bytes:
    return eight + b"-0000-4000-8000-000000000000"


def test_an_order_is_published_from_placing_to_delivery() -> None:
    events = [decode(value) for _, value in order_records([7])]
    assert [event.type for event in events] == ["order.placed.v1", "order.shipped.v1", "order.delivered.v1"]


def test_the_records_of_an_order_carry_its_customer_as_key() -> None:
    assert {key for key, _ in order_records([7, 8])} == {b"C00000007", b"C00000008"}


def test_a_report_is_one_that_intake_reads() -> None:
    body = report_call(7, 8000, "k" * 16).partition(b"\r\n\r\n")[2]
    assert IssueSubmitted.model_validate_json(body).order_id == order_id(7)


def test_the_head_of_a_call_says_how_long_its_body_is() -> None:
    head, _, body = report_call(7, 8000, "k" * 16).partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
