"""Uploads of photos: a size-limited multipart body, decoded in a process per photo, written to the store.

The bytes are in the store before their rows are written; a missing row leaves an unused file, which is harmless. One
picture is decoded at a time to limit memory; concurrent uploads are limited to bound the disk space of temporary files,
and further ones are answered 503 with Retry-After.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from libs.common.http.problems import Problem
from services.intake.domain.orders import StoredPhoto
from services.intake.evidence import photos
from services.intake.evidence.storage import EvidenceFiles, EvidenceUnavailableError

FRAMING_BYTES = 64 * 1024
"""Allowance for multipart boundaries and part headers."""

MAX_CONCURRENT_UPLOADS = 20
"""Concurrent uploads per process; the photos of each are temporary files until they are decoded."""

MAX_FORM_FIELDS = 120
"""Fields of a form: two per line of a long order."""


Quota = Callable[[int], Awaitable[None]]
"""Called with the number of photos of an upload before they are decoded. Raises `Problem` 429."""


class _CountedRequest(Request):
    """A request whose body is limited to `max_bytes`, whatever Content-Length says."""

    max_bytes: int

    async def stream(self) -> AsyncGenerator[bytes, None]:
        length = 0
        async for chunk in super().stream():
            length += len(chunk)
            if length > self.max_bytes:
                raise _too_large(f"{self.max_bytes} bytes in all are the maximum; send fewer photos at a time")
            yield chunk


@dataclass
class EvidenceUploads:
    """Receives photos, `max_photos` per issue and so per upload."""

    files: EvidenceFiles
    max_photos: int
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)
    _active: int = 0

    async def receive(self, request: Request, quota: Quota | None = None) -> list[StoredPhoto]:
        """Validate and store the photos of an upload. Raises `Problem` 413, 415, 422 or 429 that names the photo."""
        _, stored = await self._receive(request, 0, quota)
        if not stored:
            raise Problem(422, "no_photo", "photos: send one file or more in parts with the name photos.")
        return stored

    async def receive_form(self, request: Request, quota: Quota) -> tuple[dict[str, str], list[StoredPhoto]]:
        """Return the fields of a form, and its photos if there are any. Raises `Problem` as `receive`."""
        return await self._receive(request, MAX_FORM_FIELDS, quota)

    async def _receive(
        self, request: Request, most_fields: int, quota: Quota | None
    ) -> tuple[dict[str, str], list[StoredPhoto]]:
        if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
            raise Problem(415, "wrong_media_type", "Content-Type: send the photos as multipart/form-data.")
        counted = _CountedRequest(request.scope, request.receive)
        counted.max_bytes = self.max_photos * photos.MAX_BYTES + FRAMING_BYTES
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > counted.max_bytes:
            raise _too_large(f"{counted.max_bytes} bytes in all are the maximum; send fewer photos at a time")
        with self._slot():
            return await self._read(counted, most_fields, quota)

    @contextmanager
    def _slot(self) -> Iterator[None]:
        """Hold one upload slot. Raises `Problem` 503 where all are in use."""
        if self._active >= MAX_CONCURRENT_UPLOADS:
            detail = "photos: too many concurrent uploads; send these again in some seconds."
            raise Problem(503, "too_many_uploads", detail, retry_after=5)
        self._active += 1
        try:
            yield
        finally:
            self._active -= 1

    async def _read(
        self, request: Request, most_fields: int, quota: Quota | None
    ) -> tuple[dict[str, str], list[StoredPhoto]]:
        try:
            async with request.form(max_files=self.max_photos, max_fields=most_fields) as form:
                fields = {_stored(name): _stored(value) for name, value in form.items() if isinstance(value, str)}
                parts = [part for part in form.getlist("photos") if isinstance(part, UploadFile)]
                # an empty file field sends a part without name and content
                parts = [part for part in parts if part.filename or part.size]
                if quota and parts:
                    await quota(len(parts))
                return fields, await self._store(parts)
        except HTTPException as error:
            detail = f"body: {error.detail} Send up to {self.max_photos} parts, each a file with the name photos."
            raise Problem(422, "unreadable_upload", detail) from error

    async def _store(self, parts: list[UploadFile]) -> list[StoredPhoto]:
        return [await self._keep_one(part, f"photos.{index}") for index, part in enumerate(parts)]

    async def keep(self, content: bytes) -> StoredPhoto | None:
        """Store a picture that came by mail; None where it is no photo, damaged or too large. Raises `Problem` 503."""
        try:
            return await self._put(content)
        except (photos.TooLargeError, photos.WrongTypeError, photos.UnreadableError):
            return None

    async def _put(self, content: bytes) -> StoredPhoto:
        try:
            async with self._one_at_a_time:
                prepared = await asyncio.to_thread(photos.prepare_photo, content)
            await self.files.put(prepared)
            return prepared.photo
        except EvidenceUnavailableError as error:
            detail = "The photo store does not answer; try again soon."
            raise Problem(503, "evidence_unavailable", detail, retry_after=5) from error

    async def _keep_one(self, part: UploadFile, at: str) -> StoredPhoto:
        if (part.size or 0) > photos.MAX_BYTES:
            raise _too_large(f"{part.size} bytes, {photos.MAX_BYTES} are the maximum; send a smaller picture", at)
        try:
            return await self._put(await part.read())
        except photos.TooLargeError as error:
            raise _too_large(f"{error}; send a smaller picture", at) from error
        except photos.WrongTypeError as error:
            raise Problem(415, "wrong_photo_type", f"{at}: {error}; send one of these.", field=at) from error
        except photos.UnreadableError as error:
            raise Problem(422, "unreadable_photo", f"{at}: {error}; send it again.", field=at) from error


def _stored(text: str) -> str:
    """Return the text without NUL, which no browser sends and Postgres cannot store."""
    return text.replace("\x00", "")


def _too_large(detail: str, at: str = "photos") -> Problem:
    return Problem(413, "photo_too_large", f"{at}: {detail}.", field=at)
