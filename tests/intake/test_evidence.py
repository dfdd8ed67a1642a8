"""Evidence files: one suite for a folder and for an S3-compatible server, a real one on loopback."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from moto.server import ThreadedMotoServer
from pydantic import SecretStr, ValidationError

from deploy.local.ports import free_port
from services.intake.evidence import photos
from services.intake.evidence.storage import EvidenceFiles, EvidenceUnavailableError, S3Access, open_evidence, path_of
from services.intake.settings import IntakeSettings
from tests.intake.test_photos import picture

KEY = SecretStr("secret-of-the-tests")


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    port = free_port()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    endpoint = f"http://127.0.0.1:{port}"
    httpx.put(f"{endpoint}/evidence").raise_for_status()
    yield endpoint
    server.stop()


def access(endpoint: str) -> S3Access:
    return S3Access(endpoint, "us-east-1", "tests", KEY)


@pytest.fixture(params=["folder", "s3"])
async def files(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EvidenceFiles]:
    if request.param == "folder":
        yield open_evidence((tmp_path / "with space").as_uri(), S3Access())
    else:
        yield open_evidence("s3://evidence/photos", access(request.getfixturevalue("s3")))


async def read(files: EvidenceFiles, sha256: str, *, thumbnail: bool = False) -> bytes:
    pieces = await files.stream(sha256, "image/jpeg", thumbnail=thumbnail)
    return b"".join([piece async for piece in pieces])


async def test_what_is_put_is_read_again(files: EvidenceFiles) -> None:
    kept = photos.prepare_photo(picture())
    await files.put(kept)
    await files.put(kept)
    sha256 = kept.photo.sha256
    assert (await read(files, sha256), await read(files, sha256, thumbnail=True)) == (kept.content, kept.thumbnail)


async def test_what_is_read_is_what_its_name_says(files: EvidenceFiles) -> None:
    kept = photos.prepare_photo(picture(colour="green"))
    await files.put(kept)
    assert hashlib.sha256(await read(files, kept.photo.sha256)).hexdigest() == kept.photo.sha256


async def test_reading_a_missing_photo_raises(files: EvidenceFiles) -> None:
    with pytest.raises(EvidenceUnavailableError):
        await read(files, "0" * 64)


async def test_a_store_that_does_not_answer_raises() -> None:
    gone = open_evidence("s3://evidence", access("http://127.0.0.1:1"))
    with pytest.raises(EvidenceUnavailableError):
        await gone.put(photos.prepare_photo(picture()))


def test_a_photo_lies_under_its_name_in_the_folder(tmp_path: Path) -> None:
    kept = photos.prepare_photo(picture())
    asyncio.run(open_evidence(tmp_path.as_uri(), S3Access()).put(kept))
    assert (tmp_path / path_of(kept.photo.sha256, "image/jpeg")).read_bytes() == kept.content
    assert len([file for file in tmp_path.rglob("*") if file.is_file()]) == 2


def settings(**given: Any) -> IntakeSettings:
    return IntakeSettings.model_validate(
        {
            "database_url": "postgresql://x",
            "kafka_bootstrap_servers": "x:1",
            "public_url": "http://x",
            "link_secrets": "sixteen-letters-or-more",
            **given,
        }
    )


def test_a_folder_is_an_address_too(tmp_path: Path) -> None:
    assert settings(evidence_dir=tmp_path).evidence_location == tmp_path.as_uri()


@pytest.mark.parametrize(
    "given", [{}, {"evidence_url": "photos"}, {"evidence_url": "http://x/y"}, {"calendar_file": "no/such.toml"}]
)
def test_wrong_settings_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"EVIDENCE_URL|evidence_url|cannot be read"):
        settings(**given)
