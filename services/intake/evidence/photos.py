"""Validation and re-encoding of photos by `decoder.py`, in a process of its own per photo.

Neither the file name nor the claimed type is trusted. A photo is named by the hash of its stored content, so duplicates
are one file.
"""

import hashlib
import json
import logging
import subprocess
from dataclasses import dataclass
from pathlib import Path

from services.intake.domain.orders import StoredPhoto
from services.intake.evidence.isolated_process import run_isolated

log = logging.getLogger(__name__)

MAX_BYTES = 10 * 1024 * 1024
SECONDS = 30.0
"""Maximum time of one photo; the decoder's own limit of CPU time ends it earlier on an idle machine."""

SUFFIXES = {"image/jpeg": ".jpg", "image/png": ".png"}

_DECODER = Path(__file__).with_name("decoder.py")


class WrongTypeError(ValueError):
    """The content is not a JPEG, PNG, WebP or HEIC picture."""


class TooLargeError(ValueError):
    """The photo has more bytes or pixels than allowed."""


class UnreadableError(ValueError):
    """The picture is truncated or damaged, or its decoder died of it."""


_REFUSALS: dict[str, type[ValueError]] = {
    "wrong_type": WrongTypeError,
    "too_large": TooLargeError,
    "unreadable": UnreadableError,
}


@dataclass(frozen=True, slots=True)
class PreparedPhoto:
    """A photo as it is stored, with its thumbnail (always a JPEG)."""

    photo: StoredPhoto
    content: bytes
    thumbnail: bytes


def prepare_photo(content: bytes) -> PreparedPhoto:
    """Validate and re-encode a photo; up to seconds, for a worker thread.

    Raises `WrongTypeError`, `TooLargeError` or `UnreadableError`.
    """
    if len(content) > MAX_BYTES:
        raise TooLargeError(f"{len(content)} bytes, {MAX_BYTES} are the maximum")
    line, _, pictures = _run_decoder(content).partition(b"\n")
    header = json.loads(line)
    if "refused" in header:
        raise _REFUSALS[header["refused"]](header["reason"])
    kept, thumbnail = pictures[: header["bytes"]], pictures[header["bytes"] :]
    media_type = f"image/{header['format'].lower()}"
    photo = StoredPhoto(hashlib.sha256(kept).hexdigest(), media_type, len(kept), header["width"], header["height"])
    return PreparedPhoto(photo, kept, thumbnail)


def _run_decoder(content: bytes) -> bytes:
    """Return the decoder's answer."""
    try:
        done = run_isolated(_DECODER, content, SECONDS)
    except subprocess.TimeoutExpired as error:
        raise UnreadableError("the picture takes too long to decode") from error
    if done.returncode or b"\n" not in done.stdout:
        log.warning("failed photo decoder status=%d", done.returncode)
        raise UnreadableError("the picture cannot be decoded")
    return done.stdout
