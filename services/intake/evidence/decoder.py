"""Program that decodes one picture: a short-lived process with its own limits of memory and CPU time.

    python -I decoder.py < photo > answer

A decoder of pictures is the code of ours that strangers can feed, and a file of some kilobytes can decompress to
gigabytes. Here it has no secrets, no network connection and no database, and if it grows or hangs it ends alone: the
service answers that the photo cannot be read. The kernel also picks it first when the machine has no memory left.

The answer is one line of JSON, then the picture and its thumbnail. The size in pixels is read from the header and
limited per format before decoding. The picture is decoded and re-encoded: upright, in sRGB, without metadata (place,
time, camera, previews) and without other hidden content. Rejected: stripping metadata from the bytes, because four
formats have more places for it than a parser of ours would cover; libvips, whose streaming takes less memory, because
its wheels do not read HEIC and a process of its own is needed with it, too.

This file imports nothing of the project, so that the process starts in a tenth of a second.
"""

import contextlib
import json
import os
import resource
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image, ImageCms, ImageOps

ADDRESS_SPACE_BYTES = 352 * 1024 * 1024
"""Of the whole process; macOS does not enforce it, there the limits of pixels have to do."""

CPU_SECONDS = 20

MAX_PIXELS = {"JPEG": 50_000_000, "PNG": 16_000_000, "WEBP": 12_000_000, "HEIF": 25_000_000}
"""More than phones send. A JPEG is reduced while it is decoded, the others are decoded whole."""

MAX_PROGRESSIVE_PIXELS = 25_000_000
"""Of a progressive JPEG, which is in memory whole before the first pixel is known."""

LONGEST_SIDE = 4096
"""Pixels; enough to show a crack."""

THUMBNAIL_SIDE = 320
QUALITY = 90
WRITTEN_FORMATS = {"JPEG": "JPEG", "PNG": "PNG", "WEBP": "JPEG", "HEIF": "JPEG"}
"""Format in which each is stored: browsers do not show HEIC, and writing WebP takes as much memory as the picture."""

_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1")


class RefusedError(Exception):
    """The picture is refused: `wrong_type`, `too_large` or `unreadable`, with the reason."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


def main() -> None:
    """Read a photo from stdin and write the answer to stdout."""
    _limit_resources()
    try:
        header, content, thumbnail = decode(sys.stdin.buffer.read())
    except RefusedError as refused:
        header, content, thumbnail = {"refused": refused.code, "reason": refused.reason}, b"", b""
    except MemoryError:
        header, content, thumbnail = {"refused": "too_large", "reason": "needs too much memory"}, b"", b""
    sys.stdout.buffer.write(json.dumps(header).encode() + b"\n" + content + thumbnail)


def _limit_resources() -> None:
    limits = {
        resource.RLIMIT_AS: ADDRESS_SPACE_BYTES,
        resource.RLIMIT_CPU: CPU_SECONDS,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
    }
    for name, limit in limits.items():
        with contextlib.suppress(OSError, ValueError):  # macOS refuses some
            resource.setrlimit(name, (limit, limit))
    with contextlib.suppress(OSError):  # Linux: the kernel ends this process before any other
        Path("/proc/self/oom_score_adj").write_text("1000", "ascii")


def decode(content: bytes) -> tuple[dict[str, Any], bytes, bytes]:
    """Return the header of the answer, the picture and its thumbnail. Raises `RefusedError`."""
    with _opened(content) as picture:
        written = WRITTEN_FORMATS[str(picture.format)]
        upright = _upright(picture)
    try:
        kept = _written(upright, written)
    except (OSError, ValueError) as error:
        raise RefusedError("unreadable", f"the picture cannot be stored as {written}") from error
    header = {"format": written, "width": upright.width, "height": upright.height, "bytes": len(kept)}
    return header, kept, _thumbnail(upright)


def _opened(content: bytes) -> Image.Image:
    """Open the picture; only its header is read."""
    if content[4:8] == b"ftyp" and content[8:12] in _HEIC_BRANDS:
        import pi_heif  # here: other photos, nearly all, start without it

        pi_heif.options.DECODE_THREADS = 1
        pi_heif.options.THUMBNAILS = False
        pi_heif.register_heif_opener()
    Image.init()
    try:
        picture = Image.open(BytesIO(content), formats=[name for name in MAX_PIXELS if name in Image.OPEN])
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise RefusedError("too_large", f"{max(MAX_PIXELS.values())} pixels in all are the maximum") from error
    except Exception as error:  # parsers raise many kinds on broken input
        if content[8:12] == b"WEBP":  # its parser allocates the whole picture
            raise RefusedError("unreadable", "the picture is damaged, or has too many pixels") from error
        raise RefusedError("wrong_type", "not a JPEG, PNG, WebP or HEIC picture") from error
    width, height = picture.size
    most = MAX_PIXELS[str(picture.format)]
    if picture.info.get("progressive"):
        most = MAX_PROGRESSIVE_PIXELS
    if width * height > most:
        raise RefusedError("too_large", f"{width} x {height} pixels, {most} in all are the maximum of this format")
    return picture


def _upright(picture: Image.Image) -> Image.Image:
    """Return the decoded pixels, at most `LONGEST_SIDE` long, upright, in sRGB, without metadata."""
    try:
        scale = LONGEST_SIDE * 3 // 4 / max(picture.size)
        # a JPEG may decode smaller, at less cost
        picture.draft(None, (int(picture.width * scale), int(picture.height * scale)))
        picture.load()
        profile = picture.info.get("icc_profile")
        picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
        ImageOps.exif_transpose(picture, in_place=True)
        mode = "RGBA" if picture.has_transparency_data else "RGB"
        plain = picture if picture.mode == mode else picture.convert(mode)
    except MemoryError:
        raise
    except Exception as error:  # as above
        raise RefusedError("unreadable", "the picture breaks off or is damaged") from error
    plain = _in_common_colours(plain, profile)
    plain.info.clear()
    return plain


def _in_common_colours(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert to sRGB, because the profile is removed with the metadata; a broken profile is ignored."""
    if profile:
        with contextlib.suppress(ImageCms.PyCMSError, OSError, TypeError, ValueError):
            own, common = ImageCms.ImageCmsProfile(BytesIO(profile)), ImageCms.createProfile("sRGB")
            return ImageCms.profileToProfile(picture, own, common, outputMode=picture.mode) or picture
    return picture


def _written(picture: Image.Image, format_: str) -> bytes:
    file = BytesIO()
    if format_ == "JPEG" and picture.mode == "RGBA":
        picture = _on_white(picture)
    picture.save(file, format_, quality=QUALITY, exif=b"", xmp=b"")
    return file.getvalue()


def _thumbnail(picture: Image.Image) -> bytes:
    """Reduce the picture to its thumbnail, always a JPEG."""
    picture.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    return _written(picture, "JPEG")


def _on_white(picture: Image.Image) -> Image.Image:
    ground = Image.new("RGB", picture.size, "white")
    ground.paste(picture, mask=picture.getchannel("A"))
    return ground


if __name__ == "__main__":
    os.nice(5)
    main()
