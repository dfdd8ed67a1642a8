"""Evidence store of photos: a folder or an S3-compatible store, both through `obstore`, by one URL (`EVIDENCE_URL`).

Files are named by the hash of their content and immutable, so writing one twice is harmless. Files are streamed in
chunks. Access control is not here: routes check the rows of `evidence` first.
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
"""Short, because a client waits: it retries after some seconds."""


class EvidenceUnavailableError(Exception):
    """The evidence store does not answer, or lacks a file."""


@dataclass(frozen=True, slots=True)
class S3Access:
    """Access to an S3-compatible store; None falls back to the AWS configuration chain."""

    endpoint: str | None = None
    region: str | None = None
    access_key: str | None = None
    secret_key: SecretStr | None = None


@dataclass(frozen=True)
class EvidenceFiles:
    """Files of the store; `folder` is set for a local disk, where files are synced after writing."""

    store: LocalStore | S3Store
    folder: Path | None = None

    async def put(self, prepared: PreparedPhoto) -> None:
        """Store the photo and its thumbnail durably. Raises `EvidenceUnavailableError`."""
        sha256, media_type = prepared.photo.sha256, prepared.photo.media_type
        await self._put(path_of(sha256, "image/jpeg", thumbnail=True), prepared.thumbnail)
        await self._put(path_of(sha256, media_type), prepared.content)

    async def _put(self, path: str, content: bytes) -> None:
        try:
            await obstore.put_async(self.store, path, content)
        except (BaseError, OSError) as error:
            raise EvidenceUnavailableError(f"{path}: {type(error).__name__}") from error
        if self.folder:
            await asyncio.to_thread(_sync, self.folder / path)

    async def stream(self, sha256: str, media_type: str, *, thumbnail: bool = False) -> AsyncIterator[bytes]:
        """Stream the content. Raises `EvidenceUnavailableError` before the first chunk."""
        path = path_of(sha256, media_type, thumbnail=thumbnail)
        try:
            found = await obstore.get_async(self.store, path)
        except (BaseError, OSError) as error:
            raise EvidenceUnavailableError(f"{path}: {type(error).__name__}") from error
        return _bytes_of(found)

    async def delete(self, sha256: str, media_type: str) -> None:
        """Delete the photo and its thumbnail; missing files count as deleted. Raises `EvidenceUnavailableError`."""
        for path in (path_of(sha256, media_type), path_of(sha256, "image/jpeg", thumbnail=True)):
            try:
                await obstore.delete_async(self.store, path)
            except (NotFoundError, FileNotFoundError):  # the second one by a folder
                continue
            except (BaseError, OSError) as error:
                raise EvidenceUnavailableError(f"{path}: {type(error).__name__}") from error


async def _bytes_of(found: "GetResult") -> AsyncIterator[bytes]:
    async for chunk in found.stream(min_chunk_size=CHUNK_BYTES):
        yield bytes(chunk)


def path_of(sha256: str, media_type: str, *, thumbnail: bool = False) -> str:
    suffix = ".thumbnail.jpg" if thumbnail else SUFFIXES[media_type]
    return f"{sha256[:2]}/{sha256}{suffix}"


def _sync(file: Path) -> None:
    """Sync the file and its directory: obstore does not, and both must survive a power failure."""
    for place in (file, file.parent):
        handle = os.open(place, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def open_evidence(url: str, access: S3Access) -> EvidenceFiles:
    """Open a store by URL, `file:///folder` or `s3://bucket/prefix`, without a request."""
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
