"""Style sheets and scripts: read once at start, known by a digest of their content, kept by browsers for good."""

import hashlib
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import Response

from libs.common.http.problems import Problem

FOLDER = Path(__file__).parent / "assets"
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_HEADERS = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}


class Assets:
    """The files of the folder, and the addresses that pages name them by."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._files = {file.name: file.read_bytes() for file in sorted(folder.iterdir()) if file.suffix in _TYPES}
        self._digests = {name: hashlib.sha256(content).hexdigest()[:12] for name, content in self._files.items()}

    def url(self, name: str) -> str:
        """Raises `KeyError` where there is no such file."""
        return f"/assets/{self._digests[name]}/{name}"

    def routes(self) -> APIRouter:
        router = APIRouter(tags=["pages"])

        @router.get("/assets/{digest}/{name}", include_in_schema=False)
        async def asset(digest: str, name: str) -> Response:
            content = self._files.get(name)
            if content is None:
                raise Problem(404, "not_found", "address: no such file.")
            return Response(content, headers=_HEADERS, media_type=_TYPES[Path(name).suffix])

        return router
