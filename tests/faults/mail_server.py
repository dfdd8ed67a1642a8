"""Mail server of a fault run: a process that writes down each accepted message, and that can refuse and die.

A message is written to disk before it is accepted. One that dies between the two has a message that its sender does not
know as accepted: the sender repeats it under the same `Message-ID`.
"""

import asyncio
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

from deploy.local.managed_process import ManagedProcess
from deploy.local.paths import ROOT
from deploy.local.ports import LOOPBACK, kept_port

_CHOICE_PATH = re.compile(r"/c/[\w.~-]+")
BUSY = "451 4.3.2 the mail server is busy; try again later"


@dataclass(frozen=True)
class MailServer:
    """`accepted` are Message-IDs with the number of times that each was accepted."""

    process: ManagedProcess
    port: int
    folder: Path

    @classmethod
    def in_folder(cls, folder: Path, log: Path) -> "MailServer":
        """Return a server that is not started yet."""
        port, place = kept_port(), folder / "mails"
        place.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "tests.faults.mail_server", str(port), str(place)]
        return cls(ManagedProcess("mail", command, log=log, env={"PYTHONPATH": str(ROOT)}), port, place)

    @property
    def url(self) -> str:
        return f"smtp://{LOOPBACK}:{self.port}"

    def refuse(self, refuses: bool) -> None:
        """Answer every message with a temporary refusal, or no longer."""
        busy = self.folder / "busy"
        if refuses:
            busy.touch()
        else:
            busy.unlink(missing_ok=True)

    def choice_links(self, after: int) -> Sequence[str]:
        """Paths of the pages of questions in accepted mails, in order, without the first `after`."""
        file = self.folder / "links"
        return file.read_text("utf-8").splitlines()[after:] if file.exists() else ()

    @property
    def accepted(self) -> Counter[str]:
        file = self.folder / "accepted"
        return Counter(file.read_text("utf-8").splitlines() if file.exists() else ())


@dataclass(frozen=True)
class _Handler:
    folder: Path

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        if (self.folder / "busy").exists():
            return BUSY
        message = message_from_bytes(envelope.original_content or b"")
        message_id = message["Message-ID"]
        with (self.folder / "accepted").open("a", encoding="utf-8") as file:
            file.write(f"{message_id}\n")
            file.flush()
            os.fsync(file.fileno())
        with (self.folder / "links").open("a", encoding="utf-8") as file:
            file.writelines(f"{path}\n" for path in dict.fromkeys(_choice_paths(message)))
        return "250 OK"


def _choice_paths(message: Message) -> Iterator[str]:
    for part in message.walk():
        if part.get_content_type() == "text/plain":
            content = part.get_payload(decode=True)
            text = content.decode("utf-8", "replace") if isinstance(content, bytes) else ""
            yield from _CHOICE_PATH.findall(text)


async def _serve(port: int, folder: Path) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(_Handler(folder), hostname="localhost", loop=loop, enable_SMTPUTF8=True), LOOPBACK, port
    )
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), Path(sys.argv[2])))
