"""Intake on a real broker: from the storefront's events to the timeline over HTTP."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from libs.common.decisions.clock import SharedClock
from libs.common.events import loyalty, notices
from libs.common.events.envelope import Payload
from libs.common.events.issues import IssueCancelled
from libs.common.events.values import Language
from services.intake.app import create_app
from services.intake.settings import IntakeSettings
from tests.common.wire import Wanted, event_bytes, publish, read_json
from tests.intake.event_builders import CUSTOMER, ORDER, delivered, http_id, placed, submission
from tests.intake.service_calls import body, report
from tests.running import STOREFRONT, Live, eventually, running

ISSUE = http_id("journey")
NOW = datetime.now(UTC)
REPORT = submission(issue_id=ISSUE)
NOTICE = notices.NoticeSent(
    order_id=ORDER,
    customer_id=CUSTOMER,
    issue_id=ISSUE,
    notice_id=UUID(int=1),
    kind=notices.NoticeKind.ISSUE_ACCEPTED,
    channel="mail",
    language=Language.JA,
    sent_at=NOW,
)
POINTS = loyalty.PointsGranted(
    customer_id=CUSTOMER, entry_id=UUID(int=2), points=500, cause="issue", issue_id=ISSUE, rule="r", granted_at=NOW
)
CANCELLED = IssueCancelled(
    issue_id=ISSUE, order_id=ORDER, customer_id=CUSTOMER, cause="found it", cancelled_at=datetime.now(UTC)
)


@pytest.fixture
async def live(
    database: Callable[[str], Awaitable[str]], kafka: str, topics: str, tmp_path: Path
) -> AsyncIterator[Live]:
    url = await database("intake")
    async with running(
        create_app, IntakeSettings, database=url, kafka=kafka, prefix=topics, evidence_dir=tmp_path
    ) as live:
        yield live


def records(prefix: str, payloads: Sequence[Payload]) -> list[Wanted]:
    return [(prefix + payload.TOPIC.name, payload.key, event_bytes(payload), []) for payload in payloads]


async def shown(live: Live) -> dict[str, Any]:
    issue: dict[str, Any] = (await live.client.get(f"/v1/issues/{ISSUE}", headers=STOREFRONT)).json()
    return issue


async def timeline_types(live: Live) -> set[str]:
    return {fact["type"] for fact in (await shown(live)).get("timeline", ())}


async def test_a_report_that_overtakes_its_order_is_accepted_and_has_its_timeline(
    live: Live, kafka: str, topics: str
) -> None:
    await publish(kafka, records(topics, [REPORT]))
    await publish(kafka, records(topics, [delivered(at=NOW).data, placed(at=NOW).data, NOTICE, POINTS]))
    story = {"issue.reported.v1", "issue.accepted.v1", "notice.sent.v1", "points.granted.v1"}

    async def complete() -> bool:
        return await timeline_types(live) == story

    await eventually(complete, "the timeline holds all four facts")


async def test_a_report_that_does_not_stand_is_rejected_on_the_topic(live: Live, kafka: str, topics: str) -> None:
    await publish(kafka, records(topics, [delivered(at=NOW).data, placed(at=NOW).data, submission(3, issue_id=ISSUE)]))

    async def rejected() -> list[dict[str, Any]]:
        return await read_json(kafka, f"{topics}issues")

    events = await eventually(rejected, "issue.rejected is on the topic")
    assert [(event["type"], event["data"]["code"]) for event in events] == [("issue.rejected.v1", "too_many_units")]


async def test_the_units_of_a_cancelled_issue_may_be_reported_again(live: Live, kafka: str, topics: str) -> None:
    await publish(kafka, records(topics, [delivered(at=NOW).data, placed(at=NOW).data, submission(2, issue_id=ISSUE)]))

    async def accepted() -> bool:
        return "issue.accepted.v1" in await timeline_types(live)

    await eventually(accepted, "the report is accepted")
    await publish(kafka, records(topics, [CANCELLED]))

    async def again() -> bool:
        return (await report(live, body(2))).status_code == 202

    await eventually(again, "the units are free")


async def test_a_report_whose_order_never_comes_is_rejected_after_a_while(
    database: Callable[[str], Awaitable[str]], kafka: str, topics: str, tmp_path: Path
) -> None:
    clock = tmp_path / "clock"
    SharedClock.create(clock, NOW, speed=3600)
    url = await database("intake")
    async with running(
        create_app, IntakeSettings, database=url, kafka=kafka, prefix=topics, evidence_dir=tmp_path, clock_file=clock
    ) as live:
        await publish(kafka, records(topics, [REPORT]))

        async def rejected() -> bool:
            return await timeline_types(live) == {"issue.rejected.v1"}

        await eventually(rejected, "the report is rejected")
        assert (await shown(live))["status"] == "rejected"
