"""Answers to authors of refused events: all faults at once, by one service."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from aiokafka import ConsumerRecord

from libs.common.events.registry import UndecodableError, decode
from libs.common.events.topics import SERVICES
from libs.common.messaging.dead_letters import DeadLetter, DeadLetterReason
from libs.common.messaging.rejections import is_kept_elsewhere, is_published_again, rejection
from tests.contracts.reading import sample, written


@pytest.fixture(autouse=True)
def keeps_refused_orders() -> None:
    """Leave the real keepers in place."""


NOW = datetime(2026, 11, 12, tzinfo=UTC)
ORDERS = "storefront.orders"


def record(value: bytes, key: bytes | None = b"O-1") -> Any:
    return ConsumerRecord(ORDERS, 2, 41, 0, 0, key, value, None, len(key or b""), len(value), ())


def refused(value: bytes) -> DeadLetter:
    with pytest.raises(UndecodableError) as raised:
        decode(value)
    return DeadLetter(record(value), DeadLetterReason.UNDECODABLE, str(raised.value), raised.value.faults)


def test_all_faults_of_an_event_are_named_to_its_author() -> None:
    event = sample("order.placed.v1")
    event["data"]["placed_at"] = "soon"
    event["data"]["lines"][0] |= {"sku": "", "quantity": -1}
    answer = rejection("intake", ORDERS, refused(written(event)), NOW)
    assert answer is not None
    assert {fault.field for fault in answer.faults} == {"data.placed_at", "data.lines.0.sku", "data.lines.0.quantity"}
    assert (answer.event_id, answer.source, answer.type) == (event["id"], event["source"], "order.placed.v1")
    assert (answer.topic, answer.partition, answer.offset, answer.record_key) == (ORDERS, 2, 41, "O-1")


@pytest.mark.parametrize("value", [b"", b"\xff\xfe", b"[]", b'{"id": 7}', b"[" * 5000])
def test_bytes_that_are_no_event_are_answered_too(value: bytes) -> None:
    answer = rejection("intake", ORDERS, refused(value), NOW)
    assert answer is not None
    assert answer.faults
    assert answer.event_id is None
    assert json.loads(answer.model_dump_json())["rejected_at"] == "2026-11-12T00:00:00Z"


def test_one_service_answers_and_keeps_the_record() -> None:
    letter = refused(b"{")
    services = ("intake", "returns", "delivery_notify", "loyalty")
    assert [bool(rejection(service, ORDERS, letter, NOW)) for service in services] == [True, False, False, False]
    kept = [not is_kept_elsewhere(service, ORDERS, DeadLetterReason.UNDECODABLE) for service in services]
    assert kept == [True, False, False, False]
    assert is_published_again("intake", ORDERS, DeadLetterReason.UNDECODABLE)


def test_a_record_of_another_author_is_kept_once_as_well() -> None:
    kept = [not is_kept_elsewhere(service, ORDERS, DeadLetterReason.FORBIDDEN_SOURCE) for service in SERVICES]
    assert kept == [True, False, False, False]


def test_an_event_that_a_service_failed_to_apply_is_its_own_matter() -> None:
    letter = DeadLetter(record(b"{}"), DeadLetterReason.FAILED, "KeyError: x")
    assert rejection("intake", ORDERS, letter, NOW) is None
    assert not is_kept_elsewhere("loyalty", ORDERS, DeadLetterReason.FAILED)
