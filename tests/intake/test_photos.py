"""Photos: checked by content, limited before they are decoded, stored once."""

import asyncio
import hashlib
from collections.abc import Sequence
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from zlib import compress, crc32

import httpx
import pytest
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from libs.common.http.signed_links import Purpose, SignedLinks
from services.intake.evidence import decoder, photos, uploads
from services.intake.evidence.photos import TooLargeError, UnreadableError, WrongTypeError
from services.intake.http.photo_quota import UPLOADS_PER_WINDOW
from tests.intake.event_builders import http_id
from tests.intake.service_calls import reported
from tests.running import LINK_SECRETS, STOREFRONT, Live


def picture(format_: str = "JPEG", size: tuple[int, int] = (64, 48), colour: str = "red") -> bytes:
    file = BytesIO()
    Image.new("RGB", size, colour).save(file, format_)
    return file.getvalue()


def bomb(width: int, height: int) -> bytes:
    """Build a PNG of a few bytes whose header promises that many pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + name + data + crc32(name + data).to_bytes(4, "big")

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    body = chunk(b"IHDR", header) + chunk(b"IDAT", compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize(
    ("format_", "media_type"), [("JPEG", "image/jpeg"), ("PNG", "image/png"), ("WEBP", "image/jpeg")]
)
def test_a_photo_is_named_by_the_hash_of_what_is_kept(format_: str, media_type: str) -> None:
    kept = photos.prepare_photo(picture(format_))
    assert (kept.photo.sha256, kept.photo.media_type) == (hashlib.sha256(kept.content).hexdigest(), media_type)


def test_the_same_photo_is_the_same_file() -> None:
    assert photos.prepare_photo(picture()) == photos.prepare_photo(picture())


def test_a_photo_of_a_phone_in_heic_is_kept_as_a_jpeg_without_metadata() -> None:
    sent = Path(__file__).with_name("phone.heic").read_bytes()
    kept = photos.prepare_photo(sent)
    with Image.open(BytesIO(kept.content)) as found:
        red, _, blue = found.convert("RGB").getpixel((24, 5))  # type: ignore[misc]
        exif = dict(found.getexif())
    assert (b"SECRET" in sent, b"SECRET" in kept.content, exif) == (True, False, {})
    assert (kept.photo.media_type, kept.photo.width, kept.photo.height) == ("image/jpeg", 64, 48)
    assert red > 200 > blue


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", WrongTypeError),
        (b"GIF89a" + b"\0" * 50, WrongTypeError),
        (picture("GIF"), WrongTypeError),
        (picture("BMP"), WrongTypeError),
        (b"%PDF-1.7 " * 100, WrongTypeError),
        (picture("PNG")[:-30], UnreadableError),
        (picture("JPEG", (640, 480))[:-400], UnreadableError),
        (bomb(8_000, 7_000), TooLargeError),
        (bomb(12_000, 9_000), TooLargeError),
        (bomb(60_000, 60_000), TooLargeError),
        (b"\0" * (photos.MAX_BYTES + 1), TooLargeError),
    ],
)
def test_what_is_no_photo_is_refused(content: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        photos.prepare_photo(content)


def camera_picture(format_: str = "JPEG") -> bytes:
    """Build a photo as a phone writes it: wide, red on the left, with orientation and location metadata."""
    shot = Image.new("RGB", (64, 48), "blue")
    shot.paste("red", (0, 0, 32, 48))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Model] = "SECRET CAMERA"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (35.0, 39.0, 31.0)
    file = BytesIO()
    text = {"pnginfo": secret_text()} if format_ == "PNG" else {"comment": "SECRET PLACE"}
    shot.save(file, format_, exif=exif, **text)
    return file.getvalue() + b"SECRET TRAILER"


def secret_text() -> PngInfo:
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", "SECRET PLACE")
    return info


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP"])
def test_place_camera_and_whatever_else_hides_in_a_photo_is_not_kept(format_: str) -> None:
    sent = camera_picture(format_)
    kept = photos.prepare_photo(sent)
    with Image.open(BytesIO(kept.content)) as found, Image.open(BytesIO(kept.thumbnail)) as small:
        left = (dict(found.getexif()), dict(small.getexif()), found.info.get("exif"), found.info.get("xmp"))
    assert (b"SECRET" in sent, left, b"SECRET" in kept.content + kept.thumbnail) == (True, ({}, {}, None, None), False)


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP"])
def test_a_photo_stands_as_the_camera_was_held(format_: str) -> None:
    kept = photos.prepare_photo(camera_picture(format_))
    with Image.open(BytesIO(kept.content)) as found:
        red, _, blue = found.convert("RGB").getpixel((24, 5))  # type: ignore[misc]
    assert ((kept.photo.width, kept.photo.height), red > 200 > blue) == ((48, 64), True)


def test_a_huge_photo_is_kept_smaller_and_its_thumbnail_is_small() -> None:
    kept = photos.prepare_photo(picture(size=(6000, 1000)))
    with Image.open(BytesIO(kept.thumbnail)) as small:
        assert (kept.photo.width, max(small.size)) == (decoder.LONGEST_SIDE, decoder.THUMBNAIL_SIDE)


def test_a_picture_that_lets_through_is_laid_on_white() -> None:
    file = BytesIO()
    Image.new("RGBA", (10, 10), (0, 0, 0, 0)).save(file, "PNG")
    with Image.open(BytesIO(photos.prepare_photo(file.getvalue()).thumbnail)) as small:
        assert min(small.getpixel((5, 5))) > 250  # type: ignore[arg-type]


async def upload(live: Live, address: str, contents: Sequence[bytes], field: str = "photos") -> httpx.Response:
    files: Any = [(field, (f"IMG_{index}.jpg", content)) for index, content in enumerate(contents)]
    return await live.client.post(f"{address}/photos", files=files, headers=STOREFRONT)


async def test_an_uploaded_photo_is_part_of_its_issue(live: Live) -> None:
    address = await reported(live)
    response = await upload(live, address, [picture()])
    shown = (await live.client.get(address, headers=STOREFRONT)).json()
    assert (response.status_code, shown["photos"]) == (201, response.json()["photos"])


async def test_the_same_upload_again_changes_nothing(live: Live) -> None:
    address = await reported(live)
    await upload(live, address, [picture(), picture(colour="blue")])
    await upload(live, address, [picture(), picture(colour="blue")])
    shown = (await live.client.get(address, headers=STOREFRONT)).json()
    assert len(shown["photos"]) == 2


@pytest.mark.parametrize(
    ("status", "code", "contents"),
    [
        (415, "wrong_photo_type", [picture(), picture("GIF")]),
        (415, "wrong_photo_type", [b""]),
        (422, "unreadable_photo", [picture("PNG")[:-30]]),
        (413, "photo_too_large", [b"\0" * (photos.MAX_BYTES + 1)]),
        (413, "photo_too_large", [bomb(60_000, 60_000)]),
        (422, "unreadable_upload", [picture()] * 4),
    ],
)
async def test_an_upload_that_is_not_right_is_refused(
    live: Live, status: int, code: str, contents: list[bytes]
) -> None:
    response = await upload(live, await reported(live), contents)
    assert (response.status_code, response.json()["code"]) == (status, code)


async def test_a_refusal_names_the_photo(live: Live) -> None:
    response = await upload(live, await reported(live), [picture(), b"no picture"])
    assert response.json()["field"] == "photos.1"


async def test_more_photos_than_an_issue_holds_are_refused(live: Live) -> None:
    address = await reported(live)
    await upload(live, address, [picture(), picture(colour="blue")])
    response = await upload(live, address, [picture(colour="green"), picture(colour="white")])
    assert (response.status_code, response.json()["code"]) == (422, "too_many_photos")


async def test_an_upload_under_another_field_name_is_refused(live: Live) -> None:
    response = await upload(live, await reported(live), [picture()], field="image")
    assert (response.status_code, response.json()["code"]) == (422, "no_photo")


async def test_a_photo_that_is_not_in_a_form_is_refused(live: Live) -> None:
    address = await reported(live)
    headers = {**STOREFRONT, "Content-Type": "image/jpeg"}
    response = await live.client.post(f"{address}/photos", content=picture(), headers=headers)
    assert (response.status_code, response.json()["code"]) == (415, "wrong_media_type")


async def test_an_endless_upload_is_cut_off_where_it_is_too_long(live: Live) -> None:
    megabytes = 0

    async def endless() -> Any:
        nonlocal megabytes
        yield b'--b\r\nContent-Disposition: form-data; name="photos"; filename="a.jpg"\r\n\r\n'
        while True:
            megabytes += 1
            yield b"\0" * 1_000_000

    headers = {**STOREFRONT, "Content-Type": "multipart/form-data; boundary=b"}
    address = await reported(live)
    response = await live.client.post(f"{address}/photos", content=endless(), headers=headers)
    assert (response.status_code, response.json()["code"], megabytes) == (413, "photo_too_large", 32)


async def test_a_photo_of_an_unknown_issue_is_refused(live: Live) -> None:
    response = await upload(live, f"/v1/issues/{http_id('none')}", [picture()])
    assert (response.status_code, response.json()["code"]) == (404, "unknown_issue")


async def test_more_concurrent_uploads_than_allowed_get_a_retry_after(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MAX_CONCURRENT_UPLOADS", 2)
    begun, go_on = asyncio.Semaphore(0), asyncio.Event()

    async def slow() -> Any:
        yield b'--b\r\nContent-Disposition: form-data; name="photos"; filename="a.jpg"\r\n\r\n'
        begun.release()
        await go_on.wait()
        yield picture() + b"\r\n--b--\r\n"

    headers = {**STOREFRONT, "Content-Type": "multipart/form-data; boundary=b"}
    address = await reported(live)
    running = [asyncio.create_task(live.client.post("/v1/photos", content=slow(), headers=headers)) for _ in range(2)]
    for _ in running:
        await begun.acquire()
    refused = await upload(live, address, [picture()])
    assert (refused.status_code, refused.json()["code"], refused.headers["Retry-After"]) == (
        503,
        "too_many_uploads",
        "5",
    )
    go_on.set()
    assert [answer.status_code for answer in await asyncio.gather(*running)] == [201, 201]
    assert (await upload(live, address, [picture()])).status_code == 201


async def test_a_link_decodes_only_some_photos_an_hour_and_says_when_to_come_back(live: Live) -> None:
    address = await reported(live)
    expires_at = live.service.clock.now() + timedelta(days=1)
    token = SignedLinks([LINK_SECRETS]).token(Purpose.UPLOAD, expires_at, address.rpartition("/")[2])
    allowed = UPLOADS_PER_WINDOW * 3  # photos per issue, as the fixture sets it
    for number in range(UPLOADS_PER_WINDOW):
        contents = [picture(size=(number + 1, side + 1)) for side in range(3)]
        assert (await upload(live, f"/u/{token}", contents)).status_code in (201, 422), number
    refused = await upload(live, f"/u/{token}", [picture()])
    assert (refused.status_code, refused.json()["code"], refused.headers["Retry-After"]) == (
        429,
        "too_many_photos",
        "3600",
    )
    assert f"{allowed + 1} within an hour" in refused.json()["detail"]
    assert (await upload(live, address, [picture()])).status_code == 422, "a caller with a key has no quota"
