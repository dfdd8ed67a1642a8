"""Answers of partners, and their disorder: pure, drawn from the seed and the subject alone."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from libs.common.events.envelope import Payload


@dataclass(frozen=True, slots=True)
class PartnerAnswer:
    """A payload, and a name that is equal for the same answer: the event id is derived from it."""

    name: str
    payload: Payload


PartnerAnswers = Sequence[PartnerAnswer]


class EvenRandom(random.Random):
    """Draws the middle of every range and the first of every list, which are the answers without a surprise."""

    def random(self) -> float:
        return 0.5

    def choices(self, population: Any, *_: Any, **__: Any) -> list[Any]:
        return [population[0]]


def disorder(answers: PartnerAnswers, rng: random.Random) -> tuple[PartnerAnswers, int, int]:
    """The same answers with repeats and swaps; returns the number of each."""
    disordered = list(answers)
    swapped = 0
    if len(disordered) > 1 and rng.random() < 0.15:
        index = rng.randrange(len(disordered) - 1)
        disordered[index], disordered[index + 1] = disordered[index + 1], disordered[index]
        swapped = 1
    repeated = [answer for answer in disordered if rng.random() < 0.15]
    for answer in repeated:
        disordered.insert(rng.randint(disordered.index(answer) + 1, len(disordered)), answer)
    return disordered, len(repeated), swapped
