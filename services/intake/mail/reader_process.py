"""Runs `reader.py` on one mail, and makes the best of a mail that ends its reader."""

import json
import logging
import subprocess
from pathlib import Path

from services.intake.evidence.isolated_process import run_isolated
from services.intake.mail.reading import IncomingMail, UnreadableMailError

SECONDS = 20.0
"""Maximum time of one mail; the reader's own limit of CPU time ends it earlier on an idle machine."""
MAX_HEAD = 64 * 1024
"""Bytes of the header lines that are searched for our address where the reader could not read the mail."""
SHOWN_HEAD = 2_000

log = logging.getLogger(__name__)

_READER = Path(__file__).with_name("reader.py")


def read_in_process(raw: bytes) -> IncomingMail:
    """Read a mail in a process of its own; up to seconds, for a worker thread. Raises `UnreadableMailError`."""
    line, _, files = _run_reader(raw).partition(b"\n")
    if not line:
        return _unread(raw)
    found = json.loads(line)
    if "refused" in found:
        raise UnreadableMailError(found["refused"])
    pictures: list[bytes] = []
    for size in found.pop("sizes"):
        pictures.append(files[:size])
        files = files[size:]
    return IncomingMail(**{**found, "addressed": tuple(found["addressed"]), "pictures": tuple(pictures)})


def _run_reader(raw: bytes) -> bytes:
    """Return the reader's answer, nothing if it failed."""
    try:
        done = run_isolated(_READER, raw, SECONDS)
    except subprocess.TimeoutExpired:
        log.warning("a mail takes too long to read bytes=%d", len(raw))
        return b""
    if done.returncode:
        log.warning("failed mail reader status=%d bytes=%d", done.returncode, len(raw))
        return b""
    return done.stdout


def _unread(raw: bytes) -> IncomingMail:
    """Return what is known of a mail that could not be read: its header lines, for our address and for staff."""
    head = raw[:MAX_HEAD].replace(b"\r\n", b"\n").partition(b"\n\n")[0].decode("ascii", "replace").replace("\x00", "")
    return IncomingMail(
        message_id="",
        sender="",
        subject="",
        text="",
        whole_text=head[:SHOWN_HEAD],
        addressed=(head,),
        pictures=(),
        other_files=1,
        is_automatic=False,
    )
