"""Deletes the files of photos that no row names any more: of erased customers, of closed issues whose time is over, and
of uploads that no report ever named.

The rows went first, in a transaction; a file is deleted afterwards and its mark last, so that nothing is left behind by
whatever dies in between. The same picture may belong to somebody else as well: then the file stays. Not guarded: a
picture that is sent again by somebody within the very moment in which its file goes has to be sent once more.
"""

import asyncio
import logging
from dataclasses import dataclass

from libs.common.postgres.retention import Sweep
from libs.common.runtime.service import Service
from services.intake.evidence.storage import EvidenceFiles, EvidenceUnavailableError

log = logging.getLogger(__name__)

POLL_SECONDS = 2.0
UNNAMED_DAYS = 7
"""How long a photo waits for the report that names it."""

_MARKED = "SELECT sha256, media_type FROM photos_to_delete ORDER BY since LIMIT 50 FOR UPDATE SKIP LOCKED"
_IN_USE = """
    SELECT sha256 FROM evidence WHERE sha256 = ANY($1) UNION SELECT sha256 FROM uploads WHERE sha256 = ANY($1)"""
_DONE = "DELETE FROM photos_to_delete WHERE sha256 = ANY($1)"
_OF_CLOSED_ISSUES = """
    WITH over AS (
        DELETE FROM evidence WHERE (issue_id, sha256) IN (
            SELECT e.issue_id, e.sha256 FROM evidence e JOIN issues i USING (issue_id)
            WHERE e.stored_at < $1 AND NOT i.is_open AND i.gate_at < $1 LIMIT $2)
        RETURNING sha256, media_type)
    INSERT INTO photos_to_delete (sha256, media_type) SELECT DISTINCT ON (sha256) sha256, media_type FROM over
    ON CONFLICT DO NOTHING"""
_UNNAMED = """
    WITH over AS (
        DELETE FROM uploads WHERE sha256 IN (SELECT sha256 FROM uploads WHERE stored_at < $1 LIMIT $2)
        RETURNING sha256, media_type)
    INSERT INTO photos_to_delete (sha256, media_type) SELECT sha256, media_type FROM over ON CONFLICT DO NOTHING"""
_WORDS = """
    UPDATE issues SET description = NULL WHERE issue_id IN (
        SELECT issue_id FROM issues WHERE description IS NOT NULL AND NOT is_open AND gate_at < $1 LIMIT $2)"""


def sweeps(evidence_days: int, words_days: int) -> tuple[Sweep, ...]:
    """What intake forgets by itself."""
    return (
        Sweep("photos of closed issues", _OF_CLOSED_ISSUES, evidence_days),
        Sweep("photos that no report named", _UNNAMED, UNNAMED_DAYS),
        Sweep("customers' words in closed issues", _WORDS, words_days),
    )


@dataclass(frozen=True)
class PhotoFiles:
    service: Service
    files: EvidenceFiles

    async def run(self) -> None:
        while True:
            if not await self.delete_some():
                await asyncio.sleep(POLL_SECONDS)

    async def delete_some(self) -> int:
        """Delete what is marked, some at a time; gives how many marks are done."""
        async with self.service.pool.acquire() as conn, conn.transaction():
            marked = await conn.fetch(_MARKED)
            names = [row["sha256"] for row in marked]
            if not names:
                return 0
            in_use = {row["sha256"] for row in await conn.fetch(_IN_USE, names)}
            done = [name for name in names if name in in_use]
            for row in marked:
                if row["sha256"] not in in_use and await self._delete(row["sha256"], row["media_type"]):
                    done.append(row["sha256"])
            await conn.execute(_DONE, done)
        return len(done)

    async def _delete(self, sha256: str, media_type: str) -> bool:
        try:
            await self.files.delete(sha256, media_type)
        except EvidenceUnavailableError as error:
            log.warning("a photo cannot be deleted yet: %s", error)
            return False
        return True
