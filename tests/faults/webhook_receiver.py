"""Webhook receivers of the partners of a fault run: every accepted webhook is on disk before its answer."""

import json
import os
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from tests.faults.http_peer import Answer, HttpPeer, Request, serve

MODULE = "tests.faults.webhook_receiver"
Identity = tuple[str, str]


def webhook_receiver(folder: Path, log: Path) -> HttpPeer:
    """Return a receiver that is not started yet. The first part of a path names the system, the second the partner."""
    return HttpPeer.in_folder("webhooks", MODULE, folder, log)


def received(peer: HttpPeer, system: str) -> Mapping[str, Sequence[Identity]]:
    """Source and id of each accepted webhook by partner, in the order of arrival."""
    found: defaultdict[str, list[Identity]] = defaultdict(list)
    file = peer.folder / "accepted"
    for line in file.read_text("utf-8").splitlines() if file.exists() else ():
        path, source, id_ = json.loads(line)
        of, _, partner = path.strip("/").partition("/")
        if of == system:
            found[partner].append((source, id_))
    return found


def _accept(file: int, request: Request) -> Answer:
    event = json.loads(request.body)
    os.write(file, f"{json.dumps([request.path, event['source'], event['id']])}\n".encode())
    os.fsync(file)
    return Answer(204)


def main(port: int, folder: Path) -> None:
    file = os.open(folder / "accepted", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    serve(port, folder, partial(_accept, file))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
