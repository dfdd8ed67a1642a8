"""Webhook receiver and evidence store of fault runs: what they accept is on disk, and their faults are counted."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from services.intake.evidence.photos import prepare_photo
from services.intake.evidence.storage import S3Access, open_evidence
from tests.faults.customers import photo_of
from tests.faults.evidence_store import evidence_store, stored_photos
from tests.faults.http_peer import LATE, REFUSED, HttpPeer
from tests.faults.webhook_receiver import received, webhook_receiver

EVENT = {"source": "/returns", "id": "one"}


@pytest.fixture(params=[webhook_receiver, evidence_store])
def any_peer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[HttpPeer]:
    yield from running(request.param, tmp_path)


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[HttpPeer]:
    yield from running(webhook_receiver, tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[HttpPeer]:
    yield from running(evidence_store, tmp_path)


def running(make: Callable[[Path, Path], HttpPeer], folder: Path) -> Iterator[HttpPeer]:
    peer = make(folder, folder / "peer.log")
    start(peer)
    yield peer
    peer.process.kill()


def start(peer: HttpPeer) -> None:
    peer.process.start()
    peer.process.wait_until(lambda: answers(peer), 60)


def answers(peer: HttpPeer) -> bool:
    with suppress(httpx.TransportError):
        return bool(post(peer, "probe/probe"))
    return False


def post(peer: HttpPeer, path: str) -> int:
    return httpx.post(f"{peer.url}/{path}", json=EVENT, timeout=20).status_code


def test_webhooks_are_kept_by_system_and_partner_also_after_a_kill(receiver: HttpPeer) -> None:
    assert post(receiver, "run/acme") == 204
    receiver.process.kill()
    start(receiver)
    assert post(receiver, "other/acme") == 204
    assert received(receiver, "run") == {"acme": [("/returns", "one")]}


def test_refused_and_late_requests_are_counted_and_others_are_not(any_peer: HttpPeer) -> None:
    any_peer.refuse(True)
    assert post(any_peer, "run/acme") == 500
    any_peer.refuse(False)
    any_peer.delay(0.01)
    post(any_peer, "run/acme")
    any_peer.delay(0)
    post(any_peer, "run/acme")
    assert dict(any_peer.hits) == {REFUSED: 1, LATE: 1}


def test_a_refusal_of_one_system_leaves_the_others_alone(receiver: HttpPeer) -> None:
    receiver.refuse(True, only="run")
    assert (post(receiver, "run/acme"), post(receiver, "other/acme")) == (500, 204)


async def test_photos_of_the_product_are_stored_under_the_hash_of_their_content(store: HttpPeer) -> None:
    files = open_evidence(
        "s3://evidence/run", S3Access(store.url, "us-east-1", "faults", SecretStr("nothing-is-secret-here"))
    )
    photo = prepare_photo(photo_of(1))
    await files.put(photo)
    assert stored_photos(store, "run") == {photo.photo.sha256: photo.photo.sha256}
    pieces = await files.stream(photo.photo.sha256, "image/jpeg")
    assert b"".join([piece async for piece in pieces]) == photo.content
