"""Random and nearly valid input for parsers, with a time limit per call."""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.examples import examples

SECONDS = 5.0
"""Far more than any of them needs, on a machine that does other things as well."""
ROOT = Path(__file__).parents[2]
calm = settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)


def only(parse: Callable[[], Any], *allowed: type[Exception]) -> None:
    """Assert that it returns a value or raises one of these errors, in time."""
    began = time.monotonic()
    with contextlib.suppress(*allowed):
        parse()
    assert time.monotonic() - began < SECONDS


@st.composite
def broken(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> bytes:
    """Return valid input with some bytes removed, changed or doubled."""
    text = bytearray(draw(whole))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, max(0, len(text) - 1)))
        until = min(len(text), at + draw(st.integers(0, 24)))
        text[at:until] = draw(st.sampled_from([b"", b"\x00", b'"', b"[" * 30, bytes(text[at:until]) * 2])) or draw(
            st.binary(max_size=8)
        )
    return bytes(text)
