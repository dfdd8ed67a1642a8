"""The private parts of uvicorn on which the connection limits rest, pinned to its version.

After an update of uvicorn these tests fail: read its changes to the parts below, run `tests/security`, and pin the new
values.
"""

import hashlib
import inspect

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from libs.common.http.connection_limits import _LimitedProtocol

VERSION = "0.54.0"
PARTS = {
    "connection_made": "6efb565f",
    "connection_lost": "c91a4c9b",
    "data_received": "010a7ae5",
    "on_message_begin": "96d377fd",
    "on_header": "65d62c04",
    "on_headers_complete": "1ea8589a",
    "on_body": "dba9c32a",
    "on_message_complete": "1fbad42d",
    "pause_writing": "17a8fd21",
    "resume_writing": "7844bbaa",
}


def digest_of(part: str) -> str:
    source = inspect.getsource(getattr(HttpToolsProtocol, part))
    return hashlib.sha256(source.encode()).hexdigest()[:8]


def test_the_version_is_the_one_whose_parts_were_read() -> None:
    assert uvicorn.__version__ == VERSION


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_is_extended_is_as_it_was_read(part: str) -> None:
    assert digest_of(part) == PARTS[part]


def test_nothing_else_of_it_is_extended() -> None:
    own = {name for name, value in vars(_LimitedProtocol).items() if callable(value) and not name.startswith("__")}
    assert {name for name in own if hasattr(HttpToolsProtocol, name)} == set(PARTS)


def test_the_attributes_that_are_read_are_set() -> None:
    source = inspect.getsource(HttpToolsProtocol.__init__) + inspect.getsource(HttpToolsProtocol.on_message_begin)
    read = ("app", "connections", "cycle", "headers", "loop", "transport", "url")
    assert [name for name in read if f"self.{name}" not in source] == []
    cycle = inspect.getsource(RequestResponseCycle.__init__)
    assert [name for name in ("response_started", "response_complete") if f"self.{name}" not in cycle] == []
