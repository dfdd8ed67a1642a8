"""Evidence store of a fault run: as much of S3 as photos need, on disk, each file whole before it is answered.

A file is written beside its name and renamed, so that a store that dies has it whole or not at all.
"""

import hashlib
import os
import sys
from collections.abc import Mapping
from email.utils import formatdate
from functools import partial
from pathlib import Path

from tests.faults.http_peer import Answer, HttpPeer, Request, serve

MODULE = "tests.faults.evidence_store"
BUCKET = "evidence"


def evidence_store(folder: Path, log: Path) -> HttpPeer:
    """Return a store that is not started yet."""
    return HttpPeer.in_folder("evidence", MODULE, folder, log)


def store_environment(peer: HttpPeer, system: str) -> dict[str, str]:
    """Settings of intake for this store."""
    return {
        "EVIDENCE_URL": f"s3://{BUCKET}/{system}",
        "EVIDENCE_S3_ENDPOINT": peer.url,
        "EVIDENCE_S3_REGION": "us-east-1",
        "EVIDENCE_S3_ACCESS_KEY": "faults",
        "EVIDENCE_S3_SECRET_KEY": "nothing-is-secret-here",
    }


def stored_photos(peer: HttpPeer, system: str) -> Mapping[str, str]:
    """SHA-256 of the content of each stored photo by the hash in its name."""
    files = (peer.folder / BUCKET / system).rglob("*.*")
    return {
        file.name.partition(".")[0]: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
        if file.is_file() and ".thumbnail." not in file.name and file.suffix != ".new"
    }


def _answer(folder: Path, request: Request) -> Answer:
    file = folder / request.path.strip("/")
    match request.method:
        case "PUT":
            _write(file, request.body)
            return Answer(200, headers=_headers(request.body))
        case "DELETE":
            file.unlink(missing_ok=True)
            return Answer(204)
        case _ if file.is_file():
            return Answer(200, file.read_bytes(), _headers(file.read_bytes()))
        case _:
            return Answer(404)


def _write(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f"{file.name}.new")
    with beside.open("wb") as new:
        new.write(content)
        new.flush()
        os.fsync(new.fileno())
    beside.rename(file)


def _headers(content: bytes) -> dict[str, str]:
    return {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "Last-Modified": formatdate(usegmt=True)}


if __name__ == "__main__":
    serve(int(sys.argv[1]), Path(sys.argv[2]), partial(_answer, Path(sys.argv[2])))
