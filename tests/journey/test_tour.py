"""The tour of docs/explanation/tour.md is the order in which a real report passes through the code."""

import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import pytest

from deploy.local.mailbox import Mailbox
from deploy.local.paths import ROOT
from tests.conftest import MakeDatabase
from tests.journey.backbone import Backbone, backbone
from tests.journey.test_replacement import swap

PAGE = (ROOT / "docs" / "explanation" / "tour.md").read_text("utf-8")
_ROW = re.compile(r"^\| \d+ \| `([^`]+)` `(\w+)` \| (?:`([^`]+)`)? ?\|", re.MULTILINE)


class Stop(NamedTuple):
    """One row of the tour; `event` is the type without its version, empty where any call counts."""

    file: str
    function: str
    event: str


STOPS = [Stop(*row) for row in _ROW.findall(PAGE)]


@contextmanager
def first_calls() -> Iterator[list[Stop]]:
    """Record the stops of the tour that are called in its order within the block.

    A stop counts once the stops before it were seen, since loops of other work call some of them at any time.
    """
    by_code = {(str(ROOT / stop.file), stop.function): stop for stop in STOPS}
    seen: list[Stop] = []

    def profile(frame: FrameType, kind: str, _: Any) -> None:
        if kind != "call":
            return
        stop = by_code.get((frame.f_code.co_filename, frame.f_code.co_name))
        if stop is None or stop in seen or stop != STOPS[len(seen)]:
            return
        event = getattr(frame.f_locals.get("event"), "type", "")
        if not stop.event or event.rpartition(".v")[0] == stop.event:
            seen.append(stop)

    sys.setprofile(profile)
    try:
        yield seen
    finally:
        sys.setprofile(None)


@pytest.fixture
async def shop(
    database: MakeDatabase, kafka: str, topics: str, smtp: Mailbox, tmp_path: Path
) -> AsyncIterator[Backbone]:
    async with backbone(database, kafka, topics, tmp_path, smtp.url) as running:
        yield running


def test_every_row_of_the_tour_names_a_file() -> None:
    assert [len(STOPS)] == [int(number) for number in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)[-1:]]
    assert [stop.file for stop in STOPS if not (ROOT / stop.file).exists()] == []


async def test_a_report_passes_the_stops_of_the_tour_in_order(shop: Backbone) -> None:
    await shop.place_order("order-1")
    await shop.wait_for("points.granted", order_id="order-1")  # of the purchase, so that nothing else is in flight
    with first_calls() as seen:
        issue_id = await shop.report("order-1")
        await swap(shop, issue_id)
        await shop.wait_for("points.granted", issue_id=issue_id)
    assert seen == STOPS
