"""Background deletion of photo files whose rows are deleted."""

import asyncio
import logging
from dataclasses import dataclass

from libs.common.runtime.service import Service
from services.intake.evidence.storage import EvidenceFiles, EvidenceUnavailableError
from services.intake.store import photo_cleanup

log = logging.getLogger(__name__)

POLL_SECONDS = 2.0


@dataclass(frozen=True)
class PhotoCleanup:
    service: Service
    files: EvidenceFiles

    async def run(self) -> None:
        while True:
            if not await self.delete_batch():
                await asyncio.sleep(POLL_SECONDS)

    async def delete_batch(self) -> int:
        """Delete a batch of queued files; returns the number of finished queue rows."""
        async with self.service.pool.acquire() as conn, conn.transaction():
            queued = await photo_cleanup.lock_queued(conn)
            done = [photo for photo in queued if photo.in_use or await self._delete(photo.sha256, photo.media_type)]
            if queued:
                await photo_cleanup.dequeue(conn, done)
        return len(done)

    async def _delete(self, sha256: str, media_type: str) -> bool:
        try:
            await self.files.delete(sha256, media_type)
        except EvidenceUnavailableError as error:
            log.warning("deferred deletion of a photo: error=%s", error)
            return False
        return True
