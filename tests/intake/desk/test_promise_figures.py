"""Accuracy of promises on the insights page, as delivery_notify answers it, well or oddly."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from libs.common.decisions.clock import SharedClock
from services.intake.app import create_app
from services.intake.desk.accounts import StaffRole
from services.intake.settings import IntakeSettings
from tests.conftest import MakeDatabase
from tests.intake.desk.conftest import Desk
from tests.intake.desk.test_dead_letter_pages import OpsServer, ops
from tests.intake.issue_states import hire, open_case
from tests.running import running

__all__ = ["ops"]

ACCURACY, FORECAST = "GET /v1/promises/accuracy", "GET /v1/promises/forecast"
UNREACHABLE = "delivery_notify does not answer"


@pytest.fixture
async def desk(database: MakeDatabase, tmp_path: Path, ops: tuple[OpsServer, str]) -> AsyncIterator[Desk]:
    urls = ops[1].replace("returns=", "delivery_notify=")
    settings: dict[str, Any] = {"evidence_dir": tmp_path, "ops_urls": urls, "ops_key": "ops-key-for-tests-only"}
    async with running(create_app, IntakeSettings, database=await database("intake"), **settings) as live:
        await hire(live, "aki", StaffRole.VIEWER)
        clock = SharedClock.create(tmp_path / "clock", datetime.now(UTC), speed=1)
        yield Desk(live, await open_case(live, "SD-1"), clock)


def group(**more: Any) -> dict[str, Any]:
    known = {"subject": "line", "name": "osaka", "kept": 47, "missed": 3, "released": 1, "open": 2, "unknown": 0}
    return {**known, "share": 0.94, "low": 0.8377, "high": 0.9794, **more}


async def insights(desk: Desk) -> str:
    viewer = await desk.as_("aki")
    return (await viewer.get("/desk/insights?lang=en")).text


async def test_the_share_of_kept_dates_is_shown_with_its_interval(desk: Desk, ops: tuple[OpsServer, str]) -> None:
    ops[0].say(ACCURACY, {"groups": [group()]})
    page = await insights(desk)
    assert [text for text in ("osaka", "94.0 %", "83.8 … 97.9") if text not in page] == []


async def test_the_figures_are_those_of_the_days_of_the_page(desk: Desk, ops: tuple[OpsServer, str]) -> None:
    ops[0].say(ACCURACY, {"groups": [group()]})
    await insights(desk)
    asked = [request for request in ops[0].requests if "accuracy" in request]
    assert {request.partition("?")[2].partition("&")[0] for request in asked} == {
        "by=warehouse",
        "by=carrier",
        "by=product_group",
    }


async def test_a_period_without_outcomes_says_so(desk: Desk, ops: tuple[OpsServer, str]) -> None:
    ops[0].say(ACCURACY, {"groups": [group(kept=0, missed=0, share=None, low=0.0, high=1.0)]})
    assert "No first date of this period has an outcome yet." in await insights(desk)


@pytest.mark.parametrize(
    "answer", [b"<html>a proxy</html>", {"groups": "none"}, {"groups": [{"name": "osaka"}]}, {"detail": "no"}]
)
async def test_an_odd_answer_is_shown_as_unreachable(desk: Desk, ops: tuple[OpsServer, str], answer: Any) -> None:
    ops[0].say(ACCURACY, answer)
    assert UNREACHABLE in await insights(desk)


def forecast(**more: Any) -> dict[str, Any]:
    party = {"by": "warehouse", "name": "osaka", "dates": 33, "late": 11, "median_delay": 0, "delay": 3, "due_today": 2}
    party |= {"expected_day": "2026-03-18", "too_late": 2}
    warning = {"by": "warehouse", "name": "osaka", "day": "2026-03-14", "due": 7, "expected_late": 4}
    warning |= {"expected_by": "2026-03-17", "order_ids": ["S/37345"]}
    return {"today": "2026-03-14", "level": 0.8, "minimum_dates": 30, "parties": [party], "warnings": [warning], **more}


async def test_warnings_are_shown_with_the_forecast_and_links_to_the_orders(
    desk: Desk, ops: tuple[OpsServer, str]
) -> None:
    ops[0].say(ACCURACY, {"groups": [group()]})
    ops[0].say(FORECAST, forecast())
    page = await insights(desk)
    wanted = ("osaka: 4 of 7 expected late, by", 'href="/desk/orders/S/37345"', "80 % of the first dates")
    assert [text for text in wanted if text not in page] == []


@pytest.mark.parametrize("answer", [{"detail": "no"}, forecast(parties=[{"by": "warehouse"}])])
async def test_without_a_forecast_the_accuracy_is_shown_all_the_same(
    desk: Desk, ops: tuple[OpsServer, str], answer: Any
) -> None:
    ops[0].say(ACCURACY, {"groups": [group()]})
    ops[0].say(FORECAST, answer)
    page = await insights(desk)
    assert ("94.0 %" in page, "Delays to expect" in page) == (True, False)
