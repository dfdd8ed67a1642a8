"""Concurrent reports over HTTP and Kafka for the last piece of a line: exactly one report gets it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from services.intake.app import create_app
from services.intake.settings import IntakeSettings
from tests.common.wire import Wanted, event_bytes, publish, read_json
from tests.intake.event_builders import ORDER, delivered, http_id, placed, submission
from tests.intake.service_calls import body, report
from tests.running import eventually, running

BY_KAFKA = 20


async def test_reports_over_http_and_kafka_at_once_give_the_last_piece_to_one(
    database: Callable[[str], Awaitable[str]], kafka: str, topics: str, tmp_path: Path
) -> None:
    url = await database("intake")
    async with (
        running(create_app, IntakeSettings, database=url, kafka=kafka, prefix=topics, evidence_dir=tmp_path) as first,
        running(create_app, IntakeSettings, database=url, kafka=kafka, prefix=topics, evidence_dir=tmp_path) as second,
    ):
        now = datetime.now(UTC)
        orders = first.service.aggregates["orders"]
        for news in (placed(at=now), delivered(quantity=1, at=now)):
            await first.service.execute(orders, news)
        ids = [http_id(f"kafka {number}") for number in range(BY_KAFKA)]
        records: list[Wanted] = [
            (f"{topics}storefront.issues", ORDER, event_bytes(submission(issue_id=issue_id)), []) for issue_id in ids
        ]
        answers, _ = await asyncio.gather(
            asyncio.gather(*(report(process, body(1)) for process in [first, second] * 10)), publish(kafka, records)
        )

        async def all_decided() -> bool:
            filed = await first.service.pool.fetchval("SELECT count(*) FROM issues WHERE issue_id = ANY($1)", ids)
            return bool(filed == BY_KAFKA)

        await eventually(all_decided, "every report by Kafka is decided", seconds=40)
        held = await first.service.pool.fetch("SELECT issue_id FROM entitlements")
        standing = await first.service.pool.fetch("SELECT issue_id FROM issues WHERE refusal_code IS NULL")
        assert [row["issue_id"] for row in held] == [row["issue_id"] for row in standing]
        assert len(held) == 1
        winner = held[0]["issue_id"]
        refused = [answer.json() for answer in answers if answer.status_code != 202]
        assert {(problem["code"], problem["issue_id"]) for problem in refused} == {("already_reported", str(winner))}

        async def all_rejected() -> bool:
            rejected = [
                event for event in await read_json(kafka, f"{topics}issues") if event["type"] == "issue.rejected.v1"
            ]
            duplicates = {event["data"]["duplicate_of"] for event in rejected}
            return len(rejected) == BY_KAFKA - (winner in ids) and duplicates == {str(winner)}

        await eventually(all_rejected, "every other report is rejected with the issue that holds the piece", seconds=40)
