"""Photos as evidence: believed by their content, never by their name or the type that was claimed.

The size in pixels is read from the header and bounded before anything is decoded, because a file of some kilobytes can
unpack to gigabytes. Then the whole picture is decoded once, so that a truncated upload is told at once; JPEG at an
eighth of its size, which reads every byte and costs a fraction. Files are named by the hash of their content, so the
same photo twice is one file, and are moved into place whole.
"""

import hashlib
import os
import tempfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image

MAX_BYTES = 10 * 1024 * 1024
MAX_PIXELS = 50_000_000
"""More than phones send; decoded, some 200 MB at the very worst."""

_SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp"}


class WrongTypeError(ValueError):
    """The content is not a JPEG, PNG or WebP picture."""


class TooLargeError(ValueError):
    """More bytes or more pixels than are taken."""


class UnreadableError(ValueError):
    """It starts like a picture but cannot be decoded to its end."""


@dataclass(frozen=True, slots=True)
class StoredPhoto:
    """A photo that lies in the folder, and what its content says about it."""

    sha256: str
    media_type: str
    size_bytes: int
    width: int
    height: int


def store(folder: Path, content: bytes) -> StoredPhoto:
    """Check a photo and put it into the folder; blocking, for a worker thread.

    Raises `WrongTypeError`, `TooLargeError` or `UnreadableError`; nothing is written then.
    """
    if len(content) > MAX_BYTES:
        raise TooLargeError(f"{len(content)} bytes, {MAX_BYTES} are the most")
    format_, width, height = _checked(content)
    sha256 = hashlib.sha256(content).hexdigest()
    _put(folder / sha256[:2] / f"{sha256}{_SUFFIXES[format_]}", content)
    return StoredPhoto(sha256, Image.MIME[format_], len(content), width, height)


def _checked(content: bytes) -> tuple[str, int, int]:
    """Format, width and height of a picture that can be decoded to its end."""
    try:
        picture = Image.open(BytesIO(content), formats=list(_SUFFIXES))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise TooLargeError(f"{MAX_PIXELS} pixels in all are the most") from error
    except Exception as error:  # Pillow's parsers raise many kinds on broken input
        raise WrongTypeError("not a JPEG, PNG or WebP picture") from error
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise TooLargeError(f"{width} x {height} pixels, {MAX_PIXELS} in all are the most")
    format_ = str(picture.format)
    try:
        with picture:
            picture.draft("RGB", (width // 8, height // 8))
            picture.load()
    except Exception as error:  # as above
        raise UnreadableError("the picture breaks off or is damaged") from error
    return format_, width, height


def _put(file: Path, content: bytes) -> None:
    if file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=".", delete=False) as part:
        part.write(content)
        part.flush()
        os.fsync(part.fileno())
    os.replace(part.name, file)
    folder = os.open(file.parent, os.O_RDONLY)  # the new name must survive a power cut as well as the bytes
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
