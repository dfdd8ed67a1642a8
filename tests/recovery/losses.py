"""Losses by seed: a broker that acknowledges records and forgets them, and a service that skips records it reads."""

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from zlib import crc32

import pytest

from libs.common.messaging import relay
from libs.common.messaging.consumer import Consumer
from libs.common.messaging.relay import Published, WaitingRecord


@dataclass(frozen=True, order=True)
class Loss:
    """One lost record: its event type without version, its issue, and the service that skipped it ("": the broker)."""

    type: str
    issue_id: str
    service: str = ""


@dataclass
class Losses:
    """Loses a share, in percent, of the first records of these types; repetitions are not lost."""

    seed: int
    percent: int
    forgotten_types: Collection[str]
    skipped_types: Collection[str]
    lost: set[Loss] = field(default_factory=set)
    _seen: set[tuple[str, str]] = field(default_factory=set)

    def _loses(self, loss: Loss, event: dict[str, Any], types: Collection[str]) -> bool:
        if loss.type not in types or not loss.issue_id or (loss.service, event["id"]) in self._seen:
            return False
        self._seen.add((loss.service, event["id"]))
        if any((each.type, each.issue_id) == (loss.type, loss.issue_id) for each in self.lost):
            return False  # lost elsewhere
        order_id = event["data"]["order_id"]  # the same in every run, unlike the issue
        if crc32(f"{self.seed} {loss.type} {loss.service} {order_id}".encode()) % 100 >= self.percent:
            return False
        self.lost.add(loss)
        return True

    def forgets(self, value: bytes) -> bool:
        """Return whether the broker forgets this record."""
        event = json.loads(value)
        loss = Loss(event["type"].rpartition(".v")[0], event["data"].get("issue_id", ""))
        return self._loses(loss, event, self.forgotten_types)

    def skips(self, service: str, value: bytes) -> bool:
        """Return whether this service skips this record."""
        event = json.loads(value)
        loss = Loss(event["type"].rpartition(".v")[0], event["data"].get("issue_id", ""), service)
        return self._loses(loss, event, self.skipped_types)


@contextmanager
def losing(losses: Losses) -> Iterator[None]:
    """Lose records until the end of the block, in every service of this process."""
    publish, parse = relay.publish, Consumer._parse

    async def forget(producer: Any, records: Sequence[WaitingRecord]) -> Published:
        kept = [record for record in records if not losses.forgets(record.value or b"")]
        published = await publish(producer, kept) if kept else Published([], {}, None)
        forgotten = {record.id for record in records} - {record.id for record in kept}
        return replace(published, done=[*published.done, *forgotten])

    def skip(self: Consumer, record: Any) -> Any:
        parsed = parse(self, record)
        # Intake's timeline is the archive, of which a loss is one of the broker's for all readers.
        skips = parsed is not None and parsed.aggregate.name != "timeline"
        return None if skips and losses.skips(self.runner.service, record.value) else parsed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(relay, "publish", forget)
        patch.setattr(Consumer, "_parse", skip)
        yield
