"""Type detection without decoding: never wrong, at most unknown."""

import json

from libs.common.events.envelope import Payload
from libs.common.events.registry import decode, encode, peek_type
from tests.contracts.reading import FOLDER, each_payload


@each_payload
def test_what_we_write_ourselves_is_recognised_by_its_type(payload: type[Payload]) -> None:
    for sample in sorted(FOLDER.glob(f"{payload.TYPE}*.json")):
        assert peek_type(encode(decode(sample.read_bytes()))) is payload


def test_a_type_that_stands_elsewhere_is_not_taken_for_the_events_own() -> None:
    event = {"data": {"type": "issue.accepted.v1"}, "specversion": "1.0", "id": "1", "source": "/s", "type": "x.v1"}
    assert peek_type(json.dumps(event, separators=(",", ":")).encode()) is None
    tricked = b'{"specversion":"1.0","id":"\\","source":"/s","type":"issue.accepted.v1","id":"1"}'
    assert peek_type(tricked) is None


def test_a_partners_spelling_and_foreign_types_are_left_to_the_decoder() -> None:
    assert peek_type(b'{"specversion": "1.0", "id": "1", "source": "/s", "type": "issue.accepted.v1"}') is None
    assert peek_type(b'{"specversion":"1.0","id":"1","source":"/s","type":"order.eaten.v1"}') is None
    assert peek_type(b"") is None
