"""Static assets: read once at start, addressed by a digest of their content, cached by browsers for a year."""

import hashlib
from collections.abc import Mapping
from copy import copy
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath
from typing import Self
from urllib.parse import urlsplit

from fastapi import APIRouter, HTTPException
from fastapi.responses import Response

_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
_HEADERS = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}


class Assets:
    """Style sheets, scripts and images of folders (paths or package data), and the URLs of pages for them."""

    base = ""
    """Path below which a proxy serves the pages that use these files."""

    def __init__(self, *folders: Traversable, prefix: str = "/assets", made: Mapping[str, bytes] | None = None) -> None:
        """`made` are files by name that do not lie in a folder."""
        files = sorted((file for folder in folders for file in folder.iterdir()), key=lambda file: file.name)
        self._prefix = prefix
        self._files = {file.name: file.read_bytes() for file in files if _suffix(file.name) in _MEDIA_TYPES}
        self._files |= made or {}
        self._digests = {name: hashlib.sha256(content).hexdigest()[:12] for name, content in self._files.items()}

    def below(self, public_url: str) -> Self:
        """Return these files for pages that are reached by this URL, which may have a path."""
        moved = copy(self)
        moved.base = urlsplit(public_url).path.rstrip("/")
        return moved

    def url(self, name: str) -> str:
        """Return the URL of a file. Raises `KeyError` for an unknown name."""
        return f"{self.base}{self._prefix}/{self._digests[name]}/{name}"

    def routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)

        @router.get(f"{self._prefix}/{{digest}}/{{name}}")
        async def asset(digest: str, name: str) -> Response:
            content = self._files.get(name)
            if content is None:
                raise HTTPException(404, "address: no such file.")
            return Response(content, headers=_HEADERS, media_type=_MEDIA_TYPES[_suffix(name)])

        return router


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix
