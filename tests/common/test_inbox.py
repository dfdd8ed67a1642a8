"""Inbox key: unique per source and id, adjacent for the counter of one producer."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from libs.common.decisions.facts import TimerFired
from libs.common.events.registry import AnyEvent, event_class
from libs.common.messaging.inbox import event_key

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
FIRED = TimerFired(name="due", due_at=NOON)

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
ids = st.one_of(texts, st.builds("{}.{}".format, texts, st.one_of(texts, st.integers(0, 10**15))))


def event(id: str, source: str = "/returns") -> AnyEvent:
    return event_class(TimerFired).model_construct(id=id, source=source, type=FIRED.TYPE, time=NOON, data=FIRED)


@given(one=st.tuples(texts, texts, ids), other=st.tuples(texts, texts, ids))
def test_two_events_have_one_mark_only_if_they_are_one_for_the_same_consumer(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    marks = [event_key(consumer, event(id, source)) for consumer, source, id in (one, other)]
    assert (marks[0] == marks[1]) == (one == other)
    assert {len(mark) for mark in marks} == {16}


def test_numbers_that_read_alike_but_are_written_otherwise_are_other_events() -> None:
    written = [
        "run.7",
        "run.07",
        "run.+7",
        "run.\u0667",
        "run.7 ",
        "run",
        ".7",
        "run.99999999999999",
        "run.999999999999999",
    ]
    assert len({event_key("cases", event(id)) for id in written}) == len(written)


@given(number=st.integers(0, 10**14 - 2))
def test_the_marks_of_one_producer_lie_in_the_order_of_their_numbers(number: int) -> None:
    here, next_one = (event_key("cases", event(f"run.{n}")) for n in (number, number + 1))
    assert here < next_one
    assert here[:10] == next_one[:10]
