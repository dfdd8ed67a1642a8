"""Photos on their way in: a multipart body, counted while it is read, checked in a worker thread, put into the store.

The bytes are safe in the store before their rows are written; a row that is then not written leaves a file that nobody
names, which is harmless. One picture is decoded at a time, so that memory has a bound; so many uploads are under way at
a time, so that the disk has one on which their files lie meanwhile. Who comes then is told to come back.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator
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
"""What boundaries and part headers may add to the photos themselves."""

MAX_CONCURRENT_UPLOADS = 20
"""Uploads under way in one process; of each up to the photos of an issue lie on the disk until they are checked."""

MAX_FORM_FIELDS = 120
"""Of a form: two per line of a long order."""


class _CountedRequest(Request):
    """A request whose body ends with a problem once it is longer than `most` bytes, announced or not."""

    most: int

    async def stream(self) -> AsyncGenerator[bytes, None]:
        length = 0
        async for chunk in super().stream():
            length += len(chunk)
            if length > self.most:
                raise _too_large(f"{self.most} bytes in all are the most; send fewer photos at a time")
            yield chunk


@dataclass
class EvidenceUploads:
    """Takes photos. `most` per issue, and so per upload."""

    files: EvidenceFiles
    max_photos: int
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)
    _under_way: int = 0

    async def receive(self, request: Request) -> list[StoredPhoto]:
        """Read, check and keep the photos of an upload. Raises `Problem` 413, 415 or 422 that names the photo."""
        _, kept = await self._receive(request, most_fields=0)
        if not kept:
            raise Problem(422, "no_photo", "photos: send one file or more in parts with the name photos.")
        return kept

    async def receive_form(self, request: Request) -> tuple[dict[str, str], list[StoredPhoto]]:
        """The same of a page's form: its fields, and its photos if there are any. Raises `Problem` as `receive`."""
        return await self._receive(request, most_fields=MAX_FORM_FIELDS)

    async def _receive(self, request: Request, most_fields: int) -> tuple[dict[str, str], list[StoredPhoto]]:
        if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
            raise Problem(415, "wrong_media_type", "Content-Type: send the photos as multipart/form-data.")
        counted = _CountedRequest(request.scope, request.receive)
        counted.most = self.max_photos * photos.MAX_BYTES + FRAMING_BYTES
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > counted.most:
            raise _too_large(f"{counted.most} bytes in all are the most; send fewer photos at a time")
        with self._place():
            return await self._read(counted, most_fields)

    @contextmanager
    def _place(self) -> Iterator[None]:
        """One of the places for uploads. Raises `Problem` 503 where all are taken."""
        if self._under_way >= MAX_CONCURRENT_UPLOADS:
            detail = "photos: as many as we take at a time are on their way; send these again in some seconds."
            raise Problem(503, "too_many_uploads", detail, retry_after=5)
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    async def _read(self, request: Request, most_fields: int) -> tuple[dict[str, str], list[StoredPhoto]]:
        try:
            async with request.form(max_files=self.max_photos, max_fields=most_fields) as form:
                fields = {name: value for name, value in form.items() if isinstance(value, str)}
                parts = [part for part in form.getlist("photos") if isinstance(part, UploadFile)]
                # a form whose file field was left empty sends a part without name and content
                return fields, await self._keep([part for part in parts if part.filename or part.size])
        except HTTPException as error:
            detail = f"body: {error.detail} Send up to {self.max_photos} parts, each a file with the name photos."
            raise Problem(422, "unreadable_upload", detail) from error

    async def _keep(self, parts: list[UploadFile]) -> list[StoredPhoto]:
        return [await self._keep_one(part, f"photos.{index}") for index, part in enumerate(parts)]

    async def _keep_one(self, part: UploadFile, at: str) -> StoredPhoto:
        if (part.size or 0) > photos.MAX_BYTES:
            raise _too_large(f"{part.size} bytes, {photos.MAX_BYTES} are the most; send a smaller picture", at)
        try:
            async with self._one_at_a_time:
                prepared = await asyncio.to_thread(photos.prepare_photo, await part.read())
            await self.files.put(prepared)
            return prepared.photo
        except photos.TooLargeError as error:
            raise _too_large(f"{error}; send a smaller picture", at) from error
        except photos.WrongTypeError as error:
            raise Problem(415, "wrong_photo_type", f"{at}: {error}; send one of these.", field=at) from error
        except photos.UnreadableError as error:
            raise Problem(422, "unreadable_photo", f"{at}: {error}; send it again.", field=at) from error
        except EvidenceUnavailableError as error:
            detail = "The store of photos does not answer; try again soon."
            raise Problem(503, "evidence_unavailable", detail, retry_after=5) from error


def _too_large(detail: str, at: str = "photos") -> Problem:
    return Problem(413, "photo_too_large", f"{at}: {detail}.", field=at)
