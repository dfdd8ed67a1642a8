"""Quota of photos per link: decoding costs seconds of CPU time, and a link may be in anybody's hands.

Photos are counted before they are decoded, in the database, for all processes. Callers with an API key have none.
"""

from datetime import timedelta

from libs.common.http.problems import Problem
from libs.common.runtime.service import Service
from services.intake.evidence.uploads import Quota
from services.intake.store.photo_quota import count_photos

WINDOW = timedelta(hours=1)
UPLOADS_PER_WINDOW = 4
"""Times the photos of an issue that a link may send within `WINDOW`."""


def quota_of(service: Service, subject: str, max_photos: int) -> Quota:
    """Return the quota of an issue or an order."""

    async def spend(photos: int) -> None:
        now = service.clock.now()
        async with service.pool.acquire() as conn, conn.transaction():
            counted = await count_photos(conn, subject, photos, now, now - WINDOW)
        if counted > UPLOADS_PER_WINDOW * max_photos:
            detail = f"photos: {counted} within an hour; send them again later."
            raise Problem(429, "too_many_photos", detail, retry_after=int(WINDOW.total_seconds()))

    return spend
