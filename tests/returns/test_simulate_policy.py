"""Policy simulation on recorded reports, from a file and from the database, and refused inputs."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from libs.common.events.values import Reason, Remedy
from libs.common.postgres.pool import Pool, create_pool
from services.returns.cli.simulate_policy import main
from services.returns.policy.policy_loader import BUNDLED_POLICY
from tests.conftest import MakeDatabase
from tests.returns.cases import accepted, line
from tests.returns.test_store import take

APP = typer.Typer()
APP.command()(main)
TEXT = BUNDLED_POLICY.read_text(encoding="utf-8")


def newer(tmp_path: Path, *changes: tuple[str, str]) -> Path:
    text = TEXT.replace('version = "2026-01"', 'version = "2026-12"')
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    path = tmp_path / "new.toml"
    path.write_text(text, encoding="utf-8")
    return path


def run(*args: object) -> tuple[int, str]:
    result = CliRunner(env={"COLUMNS": "200", "TERM": "dumb"}).invoke(APP, [str(arg) for arg in args])
    return result.exit_code, result.output


def recorded(tmp_path: Path) -> Path:
    path = tmp_path / "reports.jsonl"
    reports = (
        accepted(Reason.DEFECTIVE),
        accepted(Reason.CHANGED_MIND, requested_remedy=Remedy.REFUND),
        accepted(Reason.DEFECTIVE, line(price="90000")),
    )
    path.write_text("\n".join(report.model_dump_json() for report in reports), encoding="utf-8")
    return path


def test_the_same_policy_changes_nothing(tmp_path: Path) -> None:
    code, text = run("--policy", newer(tmp_path), "--reports", recorded(tmp_path), "--json")
    assert code == 0
    assert json.loads(text)["changed"] == 0


def test_dates_outcomes_and_costs_that_would_change_are_shown(tmp_path: Path) -> None:
    policy = newer(
        tmp_path,
        ("promise_open_days = 1 ", "promise_open_days = 2 "),
        ('JPY = "200000"', 'JPY = "50000"'),
        ('product_groups = ["stationery"]\nvalue_up_to = { JPY = "1500"', 'value_up_to = { JPY = "1300"'),
    )
    code, text = run("--policy", policy, "--reports", recorded(tmp_path), "--json")
    scenario = json.loads(text)
    assert (code, scenario["reports"], scenario["changed"]) == (0, 3, 2)
    small, expensive = scenario["differences"]
    assert small["collected"] == ["shipped", "never"]
    assert small["cost"] == ["0", "1200"]
    assert small["first_date"] == ["2026-03-11", "2026-03-12"]
    assert expensive["in_review"] == [False, True]
    assert scenario["cost"]["JPY"] == {"before": "0", "after": "1200"}


def test_a_reader_gets_a_table(tmp_path: Path) -> None:
    policy = newer(tmp_path, ("promise_open_days = 1 ", "promise_open_days = 2 "))
    code, text = run("--policy", policy, "--reports", recorded(tmp_path))
    assert code == 0
    assert "2 of 3 reports change under 2026-12" in text
    assert "2026-03-12" in text


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "line 1: not JSON"), ('{"issue_id": "x"}', "line 1: "), ("[]", "line 1: ")],
)
def test_a_report_that_cannot_be_read_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "bad.jsonl").write_text(text)
    code, output = run("--policy", newer(tmp_path), "--reports", tmp_path / "bad.jsonl")
    assert code == 2
    assert message in output


def test_a_wrong_policy_is_refused_with_its_key(tmp_path: Path) -> None:
    policy = newer(tmp_path, ('default = "part_shipment"', 'default = "gift"'))
    code, output = run("--policy", policy, "--reports", recorded(tmp_path))
    assert code == 2
    assert "reasons.missing_part.default" in output


def test_without_reports_or_a_database_it_says_what_to_name(tmp_path: Path) -> None:
    code, output = run("--policy", newer(tmp_path))
    assert code == 2
    assert "--database-url" in output


@pytest.fixture
async def pool(database: MakeDatabase) -> AsyncIterator[tuple[Pool, str]]:
    url = await database("returns")
    pool = await create_pool(url, size=2, application_name="test")
    yield pool, url
    await pool.close()


async def test_the_database_gives_what_was_accepted(pool: tuple[Pool, str], tmp_path: Path) -> None:
    import asyncio

    await take(pool[0], accepted(Reason.DEFECTIVE))
    policy = newer(tmp_path, ("promise_open_days = 1 ", "promise_open_days = 3 "))
    code, text = await asyncio.to_thread(run, "--policy", policy, "--database-url", pool[1], "--json")
    scenario = json.loads(text)
    assert code == 0
    assert scenario["differences"][0]["policy_version"] == "2026-01"
    assert scenario["differences"][0]["first_date"] == ["2026-03-11", "2026-03-13"]
