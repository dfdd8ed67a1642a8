"""Inbox mark: unique per consumer, topic, source and id; adjacent for ids of one author; another content is seen."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from libs.common.events.carrier import ParcelScanned
from libs.common.events.envelope import Payload
from libs.common.events.issues import IssueCancelled
from libs.common.events.registry import AnyEvent, event_class
from libs.common.events.storefront import OrderCancelled
from libs.common.events.values import RawStatus
from libs.common.messaging.event_ids import new_event_id
from libs.common.messaging.inbox import event_key, mark_of

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
CANCELLED = OrderCancelled(order_id="O-1", cause="late", cancelled_at=NOON)

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
times = st.integers(0, 2**48 - 1).map(lambda ms: f"{ms:012x}")
like_uuids = st.builds("{}-{}-7{}-8000-000000000000".format, texts, texts, texts)
version_7 = st.builds(lambda ms, tail: f"{ms[:8]}-{ms[8:]}-7{tail}", times, st.uuids().map(lambda u: str(u)[15:]))
ids = st.one_of(texts, like_uuids, version_7, st.builds(new_event_id))


def event(id: str, source: str = "/returns", data: Payload = CANCELLED) -> AnyEvent:
    return event_class(type(data)).model_construct(id=id, source=source, type=data.TYPE, time=NOON, data=data)


@given(one=st.tuples(texts, texts, ids), other=st.tuples(texts, texts, ids))
def test_two_events_have_one_mark_only_if_they_are_one_for_the_same_consumer(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    marks = [event_key(consumer, event(id, source)) for consumer, source, id in (one, other)]
    assert (marks[0] == marks[1]) == (one == other)
    assert {len(mark) for mark in marks} == {16}


@given(consumer=texts, source=texts, id=ids)
def test_events_of_two_topics_have_two_marks(consumer: str, source: str, id: str) -> None:
    scanned = ParcelScanned(issue_id=uuid4(), raw=RawStatus(source="yamato", code="x"), scanned_at=NOON)
    assert event_key(consumer, event(id, source)) != event_key(consumer, event(id, source, scanned))


@given(ms=st.integers(0, 2**48 - 2), tails=st.tuples(st.uuids(), st.uuids()))
def test_the_marks_of_one_author_lie_in_the_order_of_time(ms: int, tails: tuple[UUID, UUID]) -> None:
    written = [f"{ms + n:012x}" for n in range(2)]
    here, later = (
        event_key("cases", event(f"{at[:8]}-{at[8:]}-7{str(tail)[15:]}"))
        for at, tail in zip(written, tails, strict=True)
    )
    assert here < later
    assert here[:4] == later[:4]


def test_ids_are_version_7_in_the_order_of_time_and_share_no_random_part() -> None:
    made = [new_event_id() for _ in range(2000)]
    assert {(UUID(each).version, UUID(each).variant, str(UUID(each)) == each) for each in made} == {
        (7, "specified in RFC 4122", True)
    }
    assert [each[:13] for each in made] == sorted(each[:13] for each in made)
    assert len({each[15:18] + each[20:] for each in made}) == len(made)


def test_the_content_of_a_mark_is_that_of_the_payload_alone() -> None:
    other = OrderCancelled(order_id="O-1", cause="early", cancelled_at=NOON)
    assert mark_of("cases", event("1")).content == mark_of("orders", event("2", "/shop")).content
    assert mark_of("cases", event("1")).content != mark_of("cases", event("1", data=other)).content
    first, second = mark_of("cases", event("1")), mark_of("cases", event("1", data=other))
    assert len({first.key, first.of_other_content.key, second.of_other_content.key}) == 3


def test_an_event_that_no_partner_may_write_is_known_by_its_id_alone() -> None:
    one, other = (IssueCancelled(issue_id=uuid4(), order_id=order, customer_id="C-1", cause="withdrawn",
                                 cancelled_at=NOON) for order in ("O-1", "O-2"))  # fmt: skip
    assert mark_of("cases", event("1", data=one)) == mark_of("cases", event("1", data=other))
