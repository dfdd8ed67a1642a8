"""Validation and re-encoding of photos; neither the file name nor the claimed type is trusted.

The size in pixels is read from the header and limited before decoding, because a file of some kilobytes can decompress
to gigabytes. The picture is then decoded and re-encoded: upright, without metadata (place, time, camera, previews) and
without other hidden content. Rejected: stripping metadata from the bytes, because three formats have more places for it
than a parser of ours would cover. A photo is named by the hash of its stored content, so duplicates are one file.
"""

import contextlib
import hashlib
from dataclasses import dataclass
from io import BytesIO

from PIL import Image, ImageCms, ImageOps

from services.intake.domain.orders import StoredPhoto

MAX_BYTES = 10 * 1024 * 1024
MAX_PIXELS = 50_000_000
"""More than phones send; at most some 200 MB decoded, one picture at a time."""

LONGEST_SIDE = 4096
"""Pixels; enough to show a crack."""

THUMBNAIL_SIDE = 320
QUALITY = 90

SUFFIXES = {"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp"}
_FORMATS = ("JPEG", "PNG", "WEBP")


class WrongTypeError(ValueError):
    """The content is not a JPEG, PNG or WebP picture."""


class TooLargeError(ValueError):
    """The photo has more bytes or pixels than allowed."""


class UnreadableError(ValueError):
    """The picture is truncated or damaged."""


@dataclass(frozen=True, slots=True)
class PreparedPhoto:
    """A photo as it is stored, with its thumbnail (always a JPEG)."""

    photo: StoredPhoto
    content: bytes
    thumbnail: bytes


def prepare_photo(content: bytes) -> PreparedPhoto:
    """Validate and re-encode a photo; up to seconds of CPU, for a worker thread.

    Raises `WrongTypeError`, `TooLargeError` or `UnreadableError`.
    """
    if len(content) > MAX_BYTES:
        raise TooLargeError(f"{len(content)} bytes, {MAX_BYTES} are the maximum")
    with _opened(content) as picture:
        format_ = str(picture.format)
        upright = _upright(picture)
    kept = _written(upright, format_)
    photo = StoredPhoto(hashlib.sha256(kept).hexdigest(), Image.MIME[format_], len(kept), *upright.size)
    return PreparedPhoto(photo, kept, _thumbnail(upright))


def _opened(content: bytes) -> Image.Image:
    """Open the picture; only its header is read."""
    try:
        picture = Image.open(BytesIO(content), formats=list(_FORMATS))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise TooLargeError(f"{MAX_PIXELS} pixels in all are the maximum") from error
    except Exception as error:  # Pillow's parsers raise many kinds on broken input
        raise WrongTypeError("not a JPEG, PNG or WebP picture") from error
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise TooLargeError(f"{width} x {height} pixels, {MAX_PIXELS} in all are the maximum")
    return picture


def _upright(picture: Image.Image) -> Image.Image:
    """Return the decoded pixels, upright, in sRGB, without metadata."""
    try:
        picture.draft(None, (LONGEST_SIDE * 3 // 4, LONGEST_SIDE * 3 // 4))  # a JPEG may decode smaller, at less cost
        picture.load()
        profile = picture.info.get("icc_profile")
        turned = ImageOps.exif_transpose(picture)
        turned.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
        plain = turned.convert("RGBA" if turned.has_transparency_data else "RGB")
    except Exception as error:  # as above
        raise UnreadableError("the picture breaks off or is damaged") from error
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
    if format_ == "JPEG":
        picture = picture.convert("RGB")
    picture.save(file, format_, quality=QUALITY)
    return file.getvalue()


def _thumbnail(picture: Image.Image) -> bytes:
    small = picture.copy()
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    if small.mode == "RGBA":
        ground = Image.new("RGB", small.size, "white")
        ground.paste(small, mask=small.getchannel("A"))
        small = ground
    return _written(small, "JPEG")
