"""Where photos lie: a folder, or an S3-compatible store; both through `obstore`, by one address (`EVIDENCE_URL`).

Files are named by the hash of their content and never changed, so writing one twice is harmless. A file is read in
pieces, however large. Nothing here says who may read: the rows of `evidence` do, and routes ask them first.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import LocalStore, S3Store
from pydantic import SecretStr

from services.intake.evidence.photos import SUFFIXES, PreparedPhoto

if TYPE_CHECKING:
    from obstore import GetResult
    from obstore.store import ClientConfig, RetryConfig, S3Config

CHUNK_BYTES = 256 * 1024


_RETRY: "RetryConfig" = {
    "max_retries": 3,
    "retry_timeout": timedelta(seconds=15),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=2), "base": 2},
}
"""Somebody waits for the answer: told to try again after some seconds rather than held for minutes."""


class EvidenceUnavailableError(Exception):
    """The store of photos does not answer, or has not what it should have."""


@dataclass(frozen=True, slots=True)
class S3Access:
    """How to reach an S3-compatible store; what is None comes from where the AWS libraries look for it."""

    endpoint: str | None = None
    region: str | None = None
    access_key: str | None = None
    secret_key: SecretStr | None = None


@dataclass(frozen=True)
class EvidenceFiles:
    """`folder` is set where files lie on a disk of ours, which a power cut can take the newest from."""

    store: LocalStore | S3Store
    folder: Path | None = None

    async def put(self, prepared: PreparedPhoto) -> None:
        """Both are there when this returns. Raises `EvidenceUnavailableError`."""
        sha256, media_type = prepared.photo.sha256, prepared.photo.media_type
        await self._put(path_of(sha256, "image/jpeg", thumbnail=True), prepared.thumbnail)
        await self._put(path_of(sha256, media_type), prepared.content)

    async def _put(self, path: str, content: bytes) -> None:
        try:
            await obstore.put_async(self.store, path, content)
        except (BaseError, OSError) as error:
            raise EvidenceUnavailableError(f"{path}: {type(error).__name__}") from error
        if self.folder:
            await asyncio.to_thread(_make_sure, self.folder / path)

    async def stream(self, sha256: str, media_type: str, *, thumbnail: bool = False) -> AsyncIterator[bytes]:
        """The content, piece by piece. Raises `EvidenceUnavailableError` where it is not there, before any piece."""
        path = path_of(sha256, media_type, thumbnail=thumbnail)
        try:
            found = await obstore.get_async(self.store, path)
        except (BaseError, OSError) as error:
            raise EvidenceUnavailableError(f"{path}: {type(error).__name__}") from error
        return _bytes_of(found)

    async def delete(self, sha256: str, media_type: str) -> None:
        """The photo and its small picture; what is not there is deleted. Raises `EvidenceUnavailableError`."""
        for path in (path_of(sha256, media_type), path_of(sha256, "image/jpeg", thumbnail=True)):
            try:
                await obstore.delete_async(self.store, path)
            except NotFoundError:
                continue
            except (BaseError, OSError) as error:
                raise EvidenceUnavailableError(f"{path}: {type(error).__name__}") from error


async def _bytes_of(found: "GetResult") -> AsyncIterator[bytes]:
    async for piece in found.stream(min_chunk_size=CHUNK_BYTES):
        yield bytes(piece)


def path_of(sha256: str, media_type: str, *, thumbnail: bool = False) -> str:
    suffix = ".thumbnail.jpg" if thumbnail else SUFFIXES[media_type]
    return f"{sha256[:2]}/{sha256}{suffix}"


def _make_sure(file: Path) -> None:
    """The bytes and the new name must survive a power cut: obstore leaves both to the system."""
    for place in (file, file.parent):
        handle = os.open(place, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def open_evidence(url: str, access: S3Access) -> EvidenceFiles:
    """`file:///folder` or `s3://bucket/prefix`. Nothing is asked of the store yet."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        folder = Path(unquote(parts.path))
        return EvidenceFiles(LocalStore(folder, mkdir=True), folder)
    config: S3Config = {}
    if access.endpoint:
        config["endpoint"] = access.endpoint
    if access.region:
        config["region"] = access.region
    if access.access_key and access.secret_key:
        config["access_key_id"] = access.access_key
        config["secret_access_key"] = access.secret_key.get_secret_value()
    plain = (access.endpoint or "").startswith("http://")
    options: ClientConfig = {"allow_http": plain, "timeout": "20s"}
    prefix = parts.path.strip("/") or None
    store = S3Store(parts.netloc, prefix=prefix, config=config, client_options=options, retry_config=_RETRY)
    return EvidenceFiles(store)
