"""Enumerations in events, from an older reader's side: a new value is passed on, or is known to be decided by."""

import copy
import enum
import json
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError

from libs.common.events.envelope import Payload
from libs.common.events.notices import NoticeKind, NoticeSent
from libs.common.events.registry import PAYLOADS, UndecodableError, decode, encode
from libs.common.events.topics import Direction
from tests.contracts.reading import SAMPLES

NEW = "of_tomorrow"

REPORT = "remedies, texts and the recipient of the messages depend on it"
RETURNS = "returns does it"
DECIDED_BY = {
    "issue.reported.v1": {"reason": REPORT, "requested_remedy": REPORT, "reported_by": REPORT},
    "issue.accepted.v1": {"reason": REPORT, "requested_remedy": REPORT, "reported_by": REPORT},
    "issue.rejected.v1": {"reported_by": REPORT},
    "issue.details_requested.v1": {"reason": REPORT, "reported_by": REPORT},
    "issue.staff_decided.v1": {"action": RETURNS, "remedy": RETURNS},
    "replacement.ordered.v1": {"remedy": "the warehouse packs by it"},
    "issue.replacement_ordered.v1": {"remedy": "messages announce it"},
    "issue.choice_requested.v1": {"options": "the customer chooses it", "default": "it happens without an answer"},
    "issue.collection_window_declined.v1": {"cause": "messages explain it"},
    "issue.item_inspected.v1": {"lines.condition": "the warehouse states it in the same value"},
    "issue.refunded.v1": {"reason": "the points that go back depend on it"},
    "issue.refund_reversed.v1": {"reason": "the points that come back depend on it"},
    "issue.resolved.v1": {"reason": REPORT, "remedy": REPORT, "fault": "the apology depends on it"},
    "customer.decided.v1": {"choice": RETURNS, "change": "the storefront does it"},
    "customer.decision_overdue.v1": {"choice": "the storefront is reminded of it", "change": "as the choice"},
    "customer.decision_settled.v1": {"choice": "the storefront answered it", "change": "as the choice"},
    "cluster.detected.v1": {"reasons": "the cluster consists of such reports"},
    "buyer.warned.v1": {"cause": "messages explain it"},
    "customer.consent_recorded.v1": {
        "purpose": "messages of this purpose begin or end",
        "channel": "messages on this channel begin or end",
    },
    "customer.unsubscribed.v1": {"purpose": "messages of this purpose end"},
}
"""Fields of our own events by which a reader decides: a value that it does not know makes a dead letter, so that the
readers are deployed first (`docs/how-to/upgrade.md`).
"""


def enum_fields(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        yield from _of_type(field.annotation, (*path, name))


def _of_type(annotation: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        yield path
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from enum_fields(annotation, path)
    for part in get_args(annotation):
        yield from _of_type(part, path)


OURS = [
    (payload, path)
    for payload in PAYLOADS
    if payload.TOPIC.direction is not Direction.IN
    for path in dict.fromkeys(enum_fields(payload))
]
STRICT = [case for case in OURS if ".".join(case[1]) in DECIDED_BY.get(case[0].TYPE, {})]
OPEN = [case for case in OURS if case not in STRICT]


def name_of(value: object) -> str:
    return ".".join(value) if isinstance(value, tuple) else getattr(value, "TYPE", "")


def with_new_value(payload: type[Payload], path: tuple[str, ...]) -> bytes:
    """Return a record of a newer writer: its sample with the new value in this field, in the first line of a list."""
    record = copy.deepcopy(SAMPLES[payload.TYPE])
    value = record["data"]
    for name in path[:-1]:
        value = value.setdefault(name, [{"subject_id": "1", "version": 1, "day": "2026-03-12"}])
        value = value[0] if isinstance(value, list) else value
    value[path[-1]] = [NEW] if isinstance(value.get(path[-1]), list) else NEW
    return json.dumps(record).encode()


def found(data: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        data = data[name]
        data = data[0] if isinstance(data, list) else data
    return data


@pytest.mark.parametrize(("payload", "path"), OPEN, ids=name_of)
def test_an_older_reader_passes_a_new_value_on(payload: type[Payload], path: tuple[str, ...]) -> None:
    again = json.loads(encode(decode(with_new_value(payload, path))))
    assert found(again["data"], path) == NEW


@pytest.mark.parametrize(("payload", "path"), STRICT, ids=name_of)
def test_an_older_reader_refuses_a_new_value_by_which_it_would_have_to_decide(
    payload: type[Payload], path: tuple[str, ...]
) -> None:
    with pytest.raises(UndecodableError):
        decode(with_new_value(payload, path))


def test_every_field_by_which_readers_decide_exists() -> None:
    named = {(event, field) for event, fields in DECIDED_BY.items() for field in fields}
    assert named == {(payload.TYPE, ".".join(path)) for payload, path in STRICT}


def test_a_new_value_is_equal_to_its_text_as_a_member_is() -> None:
    notice: Any = decode(with_new_value(NoticeSent, ("kind",))).data
    assert (notice.kind, notice.kind.value, {notice.kind: 1}[NEW]) == (NEW, NEW, 1)
    assert notice.kind not in set(NoticeKind)


def test_writing_states_members_only() -> None:
    notice: Any = decode(with_new_value(NoticeSent, ("kind",))).data
    with pytest.raises(ValidationError, match="kind"):
        NoticeSent(**{**notice.model_dump(), "kind": NEW})


@pytest.mark.parametrize("value", ["", "x" * 101, 7, None])
def test_a_value_that_is_no_short_text_is_refused(value: object) -> None:
    record = copy.deepcopy(SAMPLES["notice.sent.v1"])
    record["data"]["kind"] = value
    with pytest.raises(UndecodableError, match="kind"):
        decode(json.dumps(record))
