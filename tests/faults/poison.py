"""Poison records: most must be dead-lettered whole, and some processed despite their headers."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from libs.common.events import topics
from tests.faults.publisher import OutgoingRecord, RetryingPublisher

POISON_HEADER = "x-poison"
"""A header of every record that no service can process."""

POISON_VALUES: dict[str, Callable[[random.Random], bytes | None]] = {
    "bytes": lambda rng: rng.randbytes(40) + b"\xff",
    "nothing": lambda _: None,
    "half a record": lambda _: b'{"specversion":"1.0","id":"x","source":"/poi',
    "deeply nested": lambda _: b"[" * 20_000,
    "not a number": lambda _: _event("replacement.shipped.v1", {"issue_id": float("nan")}),
    "unknown type": lambda rng: _event("teapot.boiled.v1", {"cups": rng.randint(1, 9)}),
    "invalid payload": lambda _: _event("replacement.shipped.v1", {"issue_id": "not-a-uuid"}),
    "no payload": lambda _: _event("order.placed.v1", {}),
    "large": lambda rng: b"x" * rng.randint(600_000, 800_000),
}
TOPICS = tuple(topic for topic in topics.TOPICS if topic.direction is topics.Direction.IN)
PAUSE = (0.5, 3.0)


def _event(type_: str, data: object) -> bytes:
    body = {"specversion": "1.0", "id": "poison", "source": "/faults/poison", "type": type_}
    return json.dumps({**body, "time": "2027-01-01T00:00:00Z", "data": data}).encode()


@dataclass
class Poisoner:
    """Publishes poison between the partners' events; `counts` by kind."""

    publisher: RetryingPublisher
    seed: int
    counts: Counter[str] = field(default_factory=Counter)

    async def run(self) -> None:
        """Run until cancelled."""
        rng = random.Random(f"{self.seed}:poison")
        while True:
            await asyncio.sleep(rng.uniform(*PAUSE))
            kind = rng.choice(sorted(POISON_VALUES))
            topic = rng.choice(TOPICS).name
            headers = [
                (POISON_HEADER, kind.encode()),
                *rng.choice(([], [("nothing", None)], [("binary", b"\xfe\xff")])),
            ]
            value = POISON_VALUES[kind](rng)
            keys: tuple[bytes | None, ...] = (b"\xff\xfe", f"F{rng.randint(0, 50):06d}".encode())
            key = rng.choice(keys if value is None else (*keys, None))  # a record needs one of the two
            await self.publisher.publish(OutgoingRecord(topic, key, value, headers))
            self.counts[kind] += 1
