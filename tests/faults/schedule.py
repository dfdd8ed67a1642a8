"""Schedule of faults: a pure function of seed, length and targets. The nemesis executes it.

Faults of one lane follow one another, those of different lanes overlap. Each lane draws its kinds like cards, all of
them before any repeats, so that a long run has every kind and a short one a fair sample.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class FaultKind(StrEnum):
    """The meaning of `seconds` and `detail` depends on the kind."""

    KILL = "kill"  # SIGKILL; started again after `seconds`
    TERM = "term"  # SIGTERM; the same
    STEP = "step"  # dies at the step that `detail` names, the n-th time it comes there: "before_commit:2"
    FREEZE = "freeze"  # SIGSTOP for `seconds`
    SCALE = "scale"  # as many replicas as `detail` says, for `seconds`
    MEMORY = "memory"  # may use only the megabytes in `detail` more, for `seconds`; killed and started again
    MIGRATE = "migrate"  # a migration of the next release adds a column to each of its tables
    SKEW = "skew"  # its clock is off by the minutes in `detail`, for `seconds`
    CUT = "cut"  # the link to `detail` (kafka or postgres) is cut for `seconds`
    SLOW = "slow"  # the same link is slow
    HALF_OPEN = "half_open"  # the same link loses answers
    PAUSE = "pause"  # Kafka, Postgres, or a server of others: SIGSTOP for `seconds`
    RESTART = "restart"  # stopped in order, started after `seconds`
    CRASH = "crash"  # SIGKILL, started after `seconds`
    DISK_FULL = "disk_full"  # of Postgres, for `seconds`
    BUSY = "busy"  # the mail server, webhook receiver or evidence store refuses everything for `seconds`
    SLOW_FSYNC = "slow_fsync"  # each fsync of Postgres takes the milliseconds in `detail` longer, for `seconds`
    PARTITION = "partition"  # one partition more for the topic in `detail`
    LATE = "late"  # the webhook receiver or evidence store answers the seconds in `detail` later, for `seconds`


KAFKA, POSTGRES, MAIL, WEBHOOKS, EVIDENCE = "kafka", "postgres", "mail", "webhooks", "evidence"


RESIZED_TOPICS = ("storefront.orders", "warehouse.events", "carrier.events", "payment.events")
"""Topics of partners: keys move to other partitions, and unread records may be overtaken, as by a partner that sends
out of order. On our own topics that would break the order of an issue, so they keep their number of partitions.
"""


@dataclass(frozen=True, slots=True)
class InjectedFault:
    """One fault: `at` seconds after the beginning, in `lane`, to `target`."""

    at: float
    lane: str
    target: str
    kind: FaultKind
    seconds: float
    detail: str = ""


@dataclass(frozen=True, slots=True)
class _FaultTemplate:
    """A kind with the range of its duration and the recovery time of its lane."""

    kind: FaultKind
    shortest: float
    longest: float
    recovery: float
    details: tuple[str, ...] = ("",)

    def draw(self, rng: random.Random, detail: str) -> tuple[float, str]:
        seconds = round(rng.uniform(self.shortest, self.longest), 1)
        return seconds, f"{detail}:{rng.randint(1, 2)}" if self.kind is FaultKind.STEP else detail


@dataclass(frozen=True, slots=True)
class FaultTargets:
    """Services with their failpoints, and whether the disk of Postgres can be filled and made slow."""

    services: Mapping[str, tuple[str, ...]]
    disk: bool = True
    slow_fsync: bool = True


def plan(seed: int, seconds: float, targets: FaultTargets) -> tuple[InjectedFault, ...]:
    """All faults of a run, by time. The same arguments return the same faults."""
    faults = [fault for lane, cards in _lanes(targets).items() for fault in _draw_lane(seed, seconds, lane, cards)]
    return tuple(sorted(faults, key=lambda fault: (fault.at, fault.lane)))


def _lanes(targets: FaultTargets) -> Mapping[str, Sequence[_FaultTemplate]]:
    there = {FaultKind.DISK_FULL: targets.disk, FaultKind.SLOW_FSYNC: targets.slow_fsync}
    lanes: dict[str, Sequence[_FaultTemplate]] = {
        KAFKA: _KAFKA,
        POSTGRES: [card for card in _POSTGRES if there.get(card.kind, True)],
        MAIL: _MAIL,
        WEBHOOKS: _PEER,
        EVIDENCE: _PEER,
    }
    for service, steps in targets.services.items():
        lanes[service] = (*_PROCESS, _FaultTemplate(FaultKind.STEP, 0.5, 1.5, 6, steps))
        lanes[f"{service} links"] = _LINKS
    return lanes


_PROCESS = (
    _FaultTemplate(FaultKind.KILL, 0.0, 3.0, 5),
    _FaultTemplate(FaultKind.TERM, 0.0, 2.0, 5),
    _FaultTemplate(FaultKind.FREEZE, 2.0, 10.0, 2),
    _FaultTemplate(FaultKind.SCALE, 4.0, 8.0, 4, ("3", "2")),
    _FaultTemplate(FaultKind.MEMORY, 3.0, 6.0, 6, ("0", "16")),
    _FaultTemplate(FaultKind.MIGRATE, 0.0, 0.0, 2),
    _FaultTemplate(FaultKind.SKEW, 8.0, 16.0, 0, ("-25", "-5", "5", "25")),
)
_LINKS = (
    _FaultTemplate(FaultKind.CUT, 0.5, 6.0, 3, (KAFKA, POSTGRES)),
    _FaultTemplate(FaultKind.SLOW, 3.0, 8.0, 1, (KAFKA, POSTGRES)),
    _FaultTemplate(FaultKind.HALF_OPEN, 1.0, 6.0, 3, (KAFKA, POSTGRES)),
)
_KAFKA = (
    _FaultTemplate(FaultKind.PAUSE, 1.0, 8.0, 6),
    _FaultTemplate(FaultKind.RESTART, 0.0, 3.0, 10),
    _FaultTemplate(FaultKind.CRASH, 0.0, 3.0, 12),
    _FaultTemplate(FaultKind.PARTITION, 0.0, 0.0, 2, RESIZED_TOPICS),
)
_POSTGRES = (
    _FaultTemplate(FaultKind.PAUSE, 1.0, 8.0, 6),
    _FaultTemplate(FaultKind.RESTART, 0.0, 2.0, 8),
    _FaultTemplate(FaultKind.CRASH, 0.0, 2.0, 8),
    _FaultTemplate(FaultKind.DISK_FULL, 2.0, 6.0, 8),
    _FaultTemplate(FaultKind.SLOW_FSYNC, 4.0, 10.0, 3, ("20", "200")),
)
_MAIL = (
    _FaultTemplate(FaultKind.BUSY, 2.0, 10.0, 3),
    _FaultTemplate(FaultKind.PAUSE, 2.0, 10.0, 3),
    _FaultTemplate(FaultKind.CRASH, 0.0, 5.0, 3),
)
_PEER = (
    _FaultTemplate(FaultKind.BUSY, 2.0, 10.0, 3),
    _FaultTemplate(FaultKind.LATE, 4.0, 12.0, 3, ("0.5", "4")),
    _FaultTemplate(FaultKind.PAUSE, 2.0, 10.0, 3),
    _FaultTemplate(FaultKind.CRASH, 0.0, 5.0, 3),
)
_FIRST, _BETWEEN = (0.5, 6.0), (2.0, 9.0)


def _draw_lane(seed: int, seconds: float, lane: str, cards: Sequence[_FaultTemplate]) -> Iterator[InjectedFault]:
    rng = random.Random(f"{seed}:{lane}")
    at = rng.uniform(*_FIRST)
    for card, detail in _shuffled(rng, cards):
        lasts, target_detail = card.draw(rng, detail)
        if at + lasts > seconds:
            return
        yield InjectedFault(round(at, 1), lane, lane.removesuffix(" links"), card.kind, lasts, target_detail)
        at += lasts + card.recovery + rng.uniform(*_BETWEEN)


def _shuffled(rng: random.Random, cards: Sequence[_FaultTemplate]) -> Iterator[tuple[_FaultTemplate, str]]:
    while True:
        pack = [(card, detail) for card in cards for detail in card.details]
        rng.shuffle(pack)
        yield from pack
