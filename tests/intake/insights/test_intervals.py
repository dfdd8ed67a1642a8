"""Confidence intervals: published values, borders and coverage."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.decisions.intervals import share
from services.intake.insights.intervals import nps


@pytest.mark.parametrize(
    ("part", "whole", "low", "high"),
    [
        # The cases of table I in Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in
        # Medicine 17 (1998), 857-872, method 3 (Wilson).
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_a_share_has_the_published_interval(part: int, whole: int, low: float, high: float) -> None:
    found = share(part, whole)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


def test_of_nothing_nothing_is_known() -> None:
    assert (share(0, 0).share, share(0, 0).low, share(0, 0).high) == (None, 0.0, 1.0)
    assert (nps(0, 0, 0).score, nps(0, 0, 0).low, nps(0, 0, 0).high) == (None, -100.0, 100.0)


def test_a_share_above_the_whole_is_refused() -> None:
    with pytest.raises(ValueError, match="part: 3"):
        share(3, 2)


@given(st.integers(0, 500), st.integers(0, 500), st.integers(0, 500))
def test_a_score_lies_within_its_interval_and_its_interval_within_the_scale(up: int, even: int, down: int) -> None:
    found = nps(up, even, down)
    assert -100.0001 <= found.low <= found.high <= 100.0001
    if found.score is not None:
        assert found.low - 1e-9 <= found.score <= found.high + 1e-9


@given(st.integers(0, 500), st.integers(0, 500), st.integers(0, 500))
def test_the_score_of_the_opposite_answers_is_the_opposite(up: int, even: int, down: int) -> None:
    score, opposite = nps(up, even, down), nps(down, even, up)
    assert (score.low, score.high) == pytest.approx((-opposite.high, -opposite.low))


@pytest.mark.parametrize(("up", "down", "answers"), [(0.5, 0.2, 40), (0.9, 0.05, 30), (0.1, 0.1, 200), (1.0, 0.0, 10)])
def test_the_interval_of_a_score_holds_the_truth_as_often_as_it_says(up: float, down: float, answers: int) -> None:
    random, held = Random(7), 0
    for _ in range(1000):
        drawn = [random.random() for _ in range(answers)]
        promoters, detractors = sum(x < up for x in drawn), sum(x >= 1 - down for x in drawn)
        found = nps(promoters, answers - promoters - detractors, detractors)
        held += found.low - 1e-9 <= 100 * (up - down) <= found.high + 1e-9
    assert held / 1000 >= 0.93
