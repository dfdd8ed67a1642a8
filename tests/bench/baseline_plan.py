"""The plan of the bare loop: the records and rows of one lifecycle, frozen as they were in 2026.

26 records (15 kB), read 65 times by the services, and 151 row changes, 80 of them plumbing (outbox 38, inbox 35, timers
7): counted on revision eec85ee from topics and from Postgres' statistics. It was measured in each run before; then
a service that wrote less made the loop cheaper, and cutting waste did not raise the ratio. It stays as it is when the
services change: the loop is a yardstick, not a model of them.
"""

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class TableChanges:
    """Row changes of one table per lifecycle, and the size of a row in bytes."""

    name: str
    inserts: int
    updates: int
    deletes: int
    width: int


@dataclass(frozen=True, slots=True)
class TopicWrites:
    """Records that one process writes to one topic per lifecycle, and their size in bytes."""

    topic: str
    per_lifecycle: int
    size: int


@dataclass(frozen=True, slots=True)
class BaselinePart:
    """One process of the bare loop. Without tables it only reads and writes records."""

    name: str
    tables: tuple[TableChanges, ...]
    writes: tuple[TopicWrites, ...]
    reads: tuple[str, ...]


PLAN = (
    BaselinePart(
        "intake",
        (
            TableChanges("work_items", 3, 2, 3, 560),
            TableChanges("entitlements", 1, 1, 0, 32),
            TableChanges("idempotency", 1, 0, 0, 232),
            TableChanges("inbox", 17, 0, 0, 16),
            TableChanges("metrics", 1, 3, 0, 60),
            TableChanges("issues", 1, 4, 0, 266),
            TableChanges("outbox", 2, 0, 2, 560),
            TableChanges("reported_lines", 1, 0, 0, 73),
            TableChanges("timeline", 17, 0, 0, 307),
            TableChanges("detection_queue", 1, 0, 1, 16),
        ),
        (TopicWrites("issues", 2, 624),),
        ("issues", "notices", "loyalty"),
    ),
    BaselinePart(
        "returns",
        (
            TableChanges("cases", 1, 3, 0, 1647),
            TableChanges("customers", 1, 3, 0, 64),
            TableChanges("inbox", 8, 0, 0, 16),
            TableChanges("outbox", 12, 0, 12, 560),
            TableChanges("timers", 1, 2, 1, 40),
        ),
        (
            TopicWrites("issues", 10, 560),
            TopicWrites("warehouse.orders", 1, 830),
            TopicWrites("carrier.orders", 1, 874),
        ),
        ("issues", "notices", "warehouse.events", "carrier.events"),
    ),
    BaselinePart(
        "delivery_notify",
        (
            TableChanges("conversations", 0, 5, 0, 1424),
            TableChanges("inbox", 9, 0, 0, 16),
            TableChanges("notices", 4, 9, 0, 436),
            TableChanges("outbox", 4, 0, 4, 560),
            TableChanges("promises", 2, 0, 0, 88),
        ),
        (TopicWrites("notices", 4, 543),),
        ("issues", "loyalty"),
    ),
    BaselinePart(
        "loyalty",
        (
            TableChanges("balances", 0, 1, 0, 64),
            TableChanges("entries", 1, 0, 0, 271),
            TableChanges("inbox", 1, 0, 0, 16),
            TableChanges("lots", 1, 0, 0, 80),
            TableChanges("outbox", 1, 0, 1, 560),
            TableChanges("timers", 2, 0, 1, 40),
        ),
        (TopicWrites("loyalty", 1, 726),),
        ("issues",),
    ),
    BaselinePart(
        "partner",
        (),
        (TopicWrites("warehouse.events", 4, 513), TopicWrites("carrier.events", 3, 513)),
        ("issues", "warehouse.orders", "carrier.orders"),
    ),
)

PARTITIONS = 6
"""Of each topic of the loop."""


def records_per_lifecycle() -> dict[str, int]:
    """Records by topic."""
    total: dict[str, int] = {}
    for part in PLAN:
        for each in part.writes:
            total[each.topic] = total.get(each.topic, 0) + each.per_lifecycle
    return total


@dataclass(frozen=True, slots=True)
class PartRun:
    """One run of one part: its name in `PLAN`, and where it writes."""

    name: str
    lifecycles: int
    bootstrap_servers: str
    prefix: str
    database_url: str | None = None

    @property
    def part(self) -> BaselinePart:
        return next(part for part in PLAN if part.name == self.name)

    def text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> "PartRun":
        return cls(**json.loads(text))


@dataclass(frozen=True, slots=True)
class PartResult:
    """The end time of a part (`time.time`), and its CPU seconds."""

    at: float
    cpu: float

    def text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> "PartResult":
        return cls(**json.loads(text))
