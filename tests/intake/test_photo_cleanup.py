"""Files of photos whose rows are deleted: deleted once nobody uses them, and not lost sight of while they cannot be."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from libs.common.postgres.retention import run as run_sweep
from services.intake.domain.orders import StoredPhoto
from services.intake.evidence import photos
from services.intake.evidence.storage import EvidenceFiles, S3Access, open_evidence, path_of
from services.intake.jobs.photo_cleanup import PhotoCleanup
from services.intake.store.evidence import record_uploads
from services.intake.store.photo_cleanup import UPLOAD_RETENTION_DAYS, retention_sweeps
from tests.intake.service_calls import reported
from tests.intake.test_photos import picture, upload
from tests.running import Live

DAY = timedelta(days=1)
GONE = open_evidence("s3://evidence", S3Access("http://127.0.0.1:1", "us-east-1"))


@pytest.fixture(autouse=True)
def no_background(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the tests alone take from the queue."""

    async def idle(_: PhotoCleanup) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(PhotoCleanup, "run", idle)


@pytest.fixture
def files(evidence_dir: Path) -> EvidenceFiles:
    return open_evidence(evidence_dir.as_uri(), S3Access())


async def queue(live: Live, *stored: StoredPhoto) -> None:
    await live.service.pool.executemany(
        "INSERT INTO photo_deletion_queue (sha256, media_type) VALUES ($1, $2)",
        [(photo.sha256, photo.media_type) for photo in stored],
    )


async def queued(live: Live) -> int:
    return int(await live.service.pool.fetchval("SELECT count(*) FROM photo_deletion_queue"))


async def keep(files: EvidenceFiles, colour: str = "red") -> StoredPhoto:
    prepared = photos.prepare_photo(picture(colour=colour))
    await files.put(prepared)
    return prepared.photo


def exist(evidence_dir: Path, photo: StoredPhoto) -> list[bool]:
    """Return whether the photo and its thumbnail exist."""
    return [(evidence_dir / path_of(photo.sha256, "image/jpeg", thumbnail=small)).exists() for small in (False, True)]


async def test_a_photo_that_nobody_uses_is_deleted_with_its_thumbnail(
    live: Live, files: EvidenceFiles, evidence_dir: Path
) -> None:
    photo = await keep(files)
    await queue(live, photo)
    assert await PhotoCleanup(live.service, files).delete_batch() == 1
    assert (exist(evidence_dir, photo), await queued(live)) == ([False, False], 0)


async def test_a_photo_of_another_issue_stays(live: Live, files: EvidenceFiles, evidence_dir: Path) -> None:
    photo = await keep(files)
    assert (await upload(live, await reported(live), [picture()])).status_code == 201
    await queue(live, photo)
    await PhotoCleanup(live.service, files).delete_batch()
    assert (exist(evidence_dir, photo), await queued(live)) == ([True, True], 0)


async def test_a_photo_that_waits_for_its_report_stays(live: Live, files: EvidenceFiles, evidence_dir: Path) -> None:
    photo = await keep(files)
    async with live.service.pool.acquire() as conn:
        await record_uploads(conn, [photo], datetime.now(UTC))
    await queue(live, photo)
    await PhotoCleanup(live.service, files).delete_batch()
    assert (exist(evidence_dir, photo), await queued(live)) == ([True, True], 0)


async def test_a_store_that_does_not_answer_is_asked_again(
    live: Live, files: EvidenceFiles, evidence_dir: Path
) -> None:
    photo = await keep(files)
    await queue(live, photo)
    assert await PhotoCleanup(live.service, GONE).delete_batch() == 0
    assert (exist(evidence_dir, photo), await queued(live)) == ([True, True], 1)
    assert await PhotoCleanup(live.service, files).delete_batch() == 1


async def test_a_file_that_is_gone_already_is_done(live: Live, files: EvidenceFiles) -> None:
    prepared = photos.prepare_photo(picture(colour="blue"))
    await queue(live, prepared.photo)
    assert (await PhotoCleanup(live.service, files).delete_batch(), await queued(live)) == (1, 0)


async def sweep(live: Live, after: timedelta, *, days: int = 30) -> None:
    """Run the sweeps of retention as if they ran so much later."""
    for each in retention_sweeps(days, days):
        await run_sweep(live.service.pool, each, datetime.now(UTC) + after)


async def test_photos_of_an_open_issue_are_kept_however_old(live: Live) -> None:
    await upload(live, await reported(live), [picture()])
    await sweep(live, 400 * DAY)
    assert await live.service.pool.fetchval("SELECT count(*) FROM evidence") == 1


async def test_photos_and_words_of_a_closed_issue_go_after_their_time(live: Live) -> None:
    await upload(live, await reported(live), [picture()])
    await live.service.pool.execute(
        "UPDATE issues SET lifecycle_status = 'resolved', lifecycle_at = now(), description = 'broken'"
    )
    await sweep(live, 29 * DAY)
    assert await kept(live) == (1, 1)
    await sweep(live, 31 * DAY)
    assert (await kept(live), await queued(live)) == ((0, 0), 1)


async def kept(live: Live) -> tuple[int, int]:
    """Return the number of photos and of descriptions."""
    row = await live.service.pool.fetchrow(
        "SELECT (SELECT count(*) FROM evidence) AS photos, count(description) AS words FROM issues"
    )
    assert row
    return row["photos"], row["words"]


async def test_photos_that_no_report_names_go_after_a_week(live: Live, files: EvidenceFiles) -> None:
    photo = await keep(files)
    async with live.service.pool.acquire() as conn:
        await record_uploads(conn, [photo], datetime.now(UTC))
    await sweep(live, (UPLOAD_RETENTION_DAYS - 1) * DAY)
    assert await queued(live) == 0
    await sweep(live, (UPLOAD_RETENTION_DAYS + 1) * DAY)
    assert await queued(live) == 1
