"""A minimal HTTP client that polls one address for small JSON answers, thousands of times.

The clock driver polls ten processes some thousand times in a run. A usual client costs about a millisecond of CPU per
request, a third of the whole run; this one costs a tenth of that.
"""

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit


class StatusClient:
    """One address; connects at the first request, and again after the server has closed the connection."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._request = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self) -> dict[str, Any]:
        """The answer, whatever its status. Raises `OSError` where the server does not answer."""
        try:
            return await self._get()
        except (ConnectionError, asyncio.IncompleteReadError):
            self.close()
            return await self._get()

    async def _get(self) -> dict[str, Any]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        writer.write(self._request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        answer: dict[str, Any] = json.loads(await reader.readexactly(length))
        return answer

    def close(self) -> None:
        if self._streams:
            self._streams[1].close()
        self._streams = None
