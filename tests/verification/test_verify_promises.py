"""`sakidashi verify promises` prints the figures of each day, and fails where a promise broke in silence."""

import json

import pytest
from typer.testing import CliRunner

from deploy.cli import verify_promises
from deploy.cli.main import app
from deploy.verification.evidence import Fact
from tests.verification.histories import LINE
from tests.verification.test_promise_integrity import DAY, ordered


@pytest.fixture
def facts(monkeypatch: pytest.MonkeyPatch) -> list[Fact]:
    """The records that the command reads, in place of topics."""
    found: list[Fact] = []

    async def read(*_: object) -> list[Fact]:
        return found

    monkeypatch.setattr(verify_promises, "read_topics", read)
    return found


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["verify", "promises", "--bootstrap-servers", "broker:9092", *arguments])
    return result.exit_code, result.output


def test_a_promise_that_broke_in_silence_is_named(facts: list[Fact]) -> None:
    facts += ordered().facts
    code, output = run()
    assert code == verify_promises.BROKEN
    assert "broken in silence: order S1 line L1 2026-03-03" in output


def test_kept_promises_are_counted_by_day(facts: list[Fact]) -> None:
    story = ordered()
    story.add("storefront.orders", "order.shipped", DAY, order_id="S1", lines=[LINE])
    facts += story.facts
    code, output = run("--json")
    zero = {"announced_before": 0, "silent": 0, "released": 0, "open": 0}
    assert (code, json.loads(output)["days"]) == (0, [{"day": "2026-03-03", "made": 1, "kept": 1, **zero}])


def test_the_share_of_first_dates_kept_is_printed_per_warehouse(facts: list[Fact]) -> None:
    story = ordered(warehouse="osaka")
    story.add("storefront.orders", "order.shipped", DAY, order_id="S1", lines=[LINE])
    facts += story.facts
    assert "warehouse  line    osaka     1       0  100.0%  20.7% to 100.0%" in run()[1]
    (of_warehouse, of_group) = sorted(json.loads(run("--json")[1])["accuracy"], key=lambda each: -len(each["by"]))[::-1]
    assert (of_warehouse["name"], of_group["name"]) == ("osaka", "unknown")
