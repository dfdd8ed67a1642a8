"""What goes wrong, and when: a pure function of seed, length and what there is to break. The nemesis carries it out.

Faults of one lane follow one another, those of different lanes overlap. Each lane deals its kinds like cards, all of
them before any comes again, so that a long run has everything and a short one a fair sample.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """`at`, `seconds` and `detail` of a fault mean what its kind says."""

    KILL = "kill"  # SIGKILL; started again after `seconds`
    TERM = "term"  # SIGTERM; the same
    STEP = "step"  # dies at the step that `detail` names, the n-th time it comes there: "before_commit:2"
    FREEZE = "freeze"  # SIGSTOP for `seconds`
    SCALE = "scale"  # as many replicas as `detail` says, for `seconds`
    SKEW = "skew"  # its clock is off by the minutes in `detail`, for `seconds`
    CUT = "cut"  # the link to `detail` (kafka or postgres) is cut for `seconds`
    SLOW = "slow"  # the same link is slow
    HALF_OPEN = "half_open"  # the same link loses answers
    PAUSE = "pause"  # Kafka or Postgres: SIGSTOP for `seconds`
    RESTART = "restart"  # stopped in order, started after `seconds`
    CRASH = "crash"  # SIGKILL, started after `seconds`
    DISK_FULL = "disk_full"  # of Postgres, for `seconds`


KAFKA, POSTGRES = "kafka", "postgres"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: `at` seconds after the beginning, in `lane`, to `target`."""

    at: float
    lane: str
    target: str
    kind: Kind
    seconds: float
    detail: str = ""


@dataclass(frozen=True, slots=True)
class _Card:
    """A kind with how long it lasts and, beyond that, how long until its lane has got over it."""

    kind: Kind
    shortest: float
    longest: float
    after: float
    details: tuple[str, ...] = ("",)

    def deal(self, rng: random.Random, detail: str) -> tuple[float, str]:
        seconds = round(rng.uniform(self.shortest, self.longest), 1)
        return seconds, f"{detail}:{rng.randint(1, 2)}" if self.kind is Kind.STEP else detail


@dataclass(frozen=True, slots=True)
class Breakable:
    """What there is: services with the steps at which each may die, and whether the disk can be filled."""

    services: Mapping[str, tuple[str, ...]]
    disk: bool = True


def plan(seed: int, seconds: float, there: Breakable) -> tuple[Fault, ...]:
    """All faults of a run, by time. The same arguments give the same faults."""
    faults = [fault for lane, cards in _lanes(there).items() for fault in _deal(seed, seconds, lane, cards)]
    return tuple(sorted(faults, key=lambda fault: (fault.at, fault.lane)))


def _lanes(there: Breakable) -> Mapping[str, Sequence[_Card]]:
    lanes: dict[str, Sequence[_Card]] = {KAFKA: _KAFKA, POSTGRES: _POSTGRES if there.disk else _POSTGRES[:-1]}
    for service, steps in there.services.items():
        lanes[service] = (*_PROCESS, _Card(Kind.STEP, 0.5, 1.5, 6, steps))
        lanes[f"{service} links"] = _LINKS
    return lanes


_PROCESS = (
    _Card(Kind.KILL, 0.0, 3.0, 5),
    _Card(Kind.TERM, 0.0, 2.0, 5),
    _Card(Kind.FREEZE, 2.0, 10.0, 2),
    _Card(Kind.SCALE, 4.0, 8.0, 4, ("3", "2")),
    _Card(Kind.SKEW, 8.0, 16.0, 0, ("-25", "-5", "5", "25")),
)
_LINKS = (
    _Card(Kind.CUT, 0.5, 6.0, 3, (KAFKA, POSTGRES)),
    _Card(Kind.SLOW, 3.0, 8.0, 1, (KAFKA, POSTGRES)),
    _Card(Kind.HALF_OPEN, 1.0, 6.0, 3, (KAFKA, POSTGRES)),
)
_KAFKA = (
    _Card(Kind.PAUSE, 1.0, 8.0, 6),
    _Card(Kind.RESTART, 0.0, 3.0, 10),
    _Card(Kind.CRASH, 0.0, 3.0, 12),
)
_POSTGRES = (
    _Card(Kind.PAUSE, 1.0, 8.0, 6),
    _Card(Kind.RESTART, 0.0, 2.0, 8),
    _Card(Kind.CRASH, 0.0, 2.0, 8),
    _Card(Kind.DISK_FULL, 2.0, 6.0, 8),
)
_FIRST, _BETWEEN = (0.5, 6.0), (2.0, 9.0)


def _deal(seed: int, seconds: float, lane: str, cards: Sequence[_Card]) -> Iterator[Fault]:
    rng = random.Random(f"{seed}:{lane}")
    at = rng.uniform(*_FIRST)
    for card, detail in _shuffled(rng, cards):
        lasts, told = card.deal(rng, detail)
        if at + lasts > seconds:
            return
        yield Fault(round(at, 1), lane, lane.removesuffix(" links"), card.kind, lasts, told)
        at += lasts + card.after + rng.uniform(*_BETWEEN)


def _shuffled(rng: random.Random, cards: Sequence[_Card]) -> Iterator[tuple[_Card, str]]:
    while True:
        pack = [(card, detail) for card in cards for detail in card.details]
        rng.shuffle(pack)
        yield from pack
