"""HTTP servers beside the shop's own in a fault run, each a process that can refuse, answer late, freeze and die.

Faults are files in the server's folder, so that a restarted process keeps them: `refusing` answers 500, `late` waits
for the seconds in it. Each request that such a fault met is a line of `hits`.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

from deploy.local.managed_process import ManagedProcess
from deploy.local.paths import ROOT
from deploy.local.ports import LOOPBACK, kept_port

REFUSED, LATE = "refused", "late"


@dataclass(frozen=True, slots=True)
class Request:
    """One request; header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a request."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class HttpPeer:
    """A server as its own process: `python -m MODULE PORT FOLDER`."""

    process: ManagedProcess
    port: int
    folder: Path

    @classmethod
    def in_folder(cls, name: str, module: str, folder: Path, log: Path) -> "HttpPeer":
        """Return a server that is not started yet."""
        port, place = kept_port(), folder / name
        place.mkdir(exist_ok=True)
        command = [sys.executable, "-m", module, str(port), str(place)]
        return cls(ManagedProcess(name, command, log=log, env={"PYTHONPATH": str(ROOT)}), port, place)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def refuse(self, refuses: bool, only: str = "") -> None:
        """Answer 500 from now on, or no longer; `only` limits it to paths that begin with this part."""
        _switch(self.folder / f"refusing{only}", "" if refuses else None)

    def delay(self, seconds: float) -> None:
        """Answer so much later from now on; 0: at once."""
        _switch(self.folder / "late", str(seconds) if seconds else None)

    def heal(self) -> None:
        """End every fault, and start it if it died."""
        self.refuse(False)
        self.delay(0)
        self.process.resume()
        if not self.process.alive:
            self.process.start()

    @property
    def hits(self) -> Counter[str]:
        """Number of requests that were refused or answered late."""
        return Counter(kind for kind, _ in self._hits())

    def refused_at(self, part: str) -> int:
        """Number of refused requests whose path begins with this part."""
        return sum(kind == REFUSED and at == part for kind, at in self._hits())

    def _hits(self) -> Iterator[tuple[str, str]]:
        file = self.folder / "hits"
        for line in file.read_text("utf-8").splitlines() if file.exists() else ():
            kind, _, part = line.partition(" ")
            yield kind, part


def _switch(file: Path, content: str | None) -> None:
    if content is None:
        file.unlink(missing_ok=True)
    else:
        whole = file.with_suffix(".new")
        whole.write_text(content, "utf-8")
        whole.rename(file)


def serve(port: int, folder: Path, answer: Callable[[Request], Answer]) -> None:
    """Serve until killed; `answer` runs before an answer is late, so that its effect may be there without it."""
    asyncio.run(_serve(port, folder, answer))


async def _serve(port: int, folder: Path, answer: Callable[[Request], Answer]) -> None:
    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            while request := await _read(reader):
                writer.write(_bytes_of(await _answer(folder, request, answer)))
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(take, LOOPBACK, port)
    await server.serve_forever()


async def _answer(folder: Path, request: Request, answer: Callable[[Request], Answer]) -> Answer:
    part = request.path.strip("/").partition("/")[0]
    if (folder / "refusing").exists() or (folder / f"refusing{part}").exists():
        _hit(folder, REFUSED, part)
        return Answer(500)
    answered = answer(request)
    with suppress(FileNotFoundError):
        seconds = float((folder / "late").read_text("utf-8"))
        _hit(folder, LATE, part)
        await asyncio.sleep(seconds)
    return answered


def _bytes_of(answer: Answer) -> bytes:
    lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}", f"Content-Length: {len(answer.body)}"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + answer.body


def _hit(folder: Path, kind: str, part: str) -> None:
    with (folder / "hits").open("a", encoding="utf-8") as file:
        file.write(f"{kind} {part}\n")


async def _read(reader: asyncio.StreamReader) -> Request | None:
    """The next request of a connection; None at its end."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.strip().split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(method, path.partition("?")[0], headers, body)
