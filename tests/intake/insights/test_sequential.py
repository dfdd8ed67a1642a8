"""Sequential tests: tables, properties, and a simulation of their error rates and delays."""

from collections.abc import Iterator
from datetime import date, timedelta
from math import exp, log
from random import Random
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.intake.insights.sequential import (
    Counts,
    DailyCounts,
    base_rate,
    evaluate_lot,
    evaluate_product,
    mixture_log_ratio,
)
from services.intake.policy.detection_policy import LotTest, ProductTest, load_detection_policy

POLICY = load_detection_policy()
LOT, PRODUCT, BASE = POLICY.lot, POLICY.product, POLICY.base
FIRST = date(2026, 3, 1)


@pytest.mark.parametrize(
    ("pieces", "orders", "rate", "cluster"),
    [
        (0, 0, 0.01, False),
        (100, 1, 0.01, False),
        (100, 4, 0.01, False),
        (100, 8, 0.01, True),
        (20, 5, 0.01, True),
        (20, 2, 0.0001, False),  # two orders are never a cluster, however rare reports are
        (1000, 10, 0.01, False),
        (1000, 30, 0.01, True),
        (1000, 100, 0.1, False),
        (10, 10, 0.1, True),
    ],
)
def test_a_lot_is_judged_by_reports_against_pieces(pieces: int, orders: int, rate: float, cluster: bool) -> None:
    assert evaluate_lot(Counts(pieces, orders), rate, LOT).is_cluster is cluster


def test_evidence_is_the_likelihood_ratio_in_poisson_form() -> None:
    assert mixture_log_ratio(Counts(200, 5), 0.01, [3]) == pytest.approx(5 * log(3) - 2 * 0.01 * 200)
    both = (exp(mixture_log_ratio(Counts(200, 5), 0.01, [3])) + exp(mixture_log_ratio(Counts(200, 5), 0.01, [6]))) / 2
    assert exp(mixture_log_ratio(Counts(200, 5), 0.01, [3, 6])) == pytest.approx(both)


@given(st.integers(0, 100_000), st.integers(0, 1000), st.floats(0.001, 0.3))
def test_a_report_more_never_speaks_for_a_lot_and_a_piece_more_never_against_it(n: int, r: int, rate: float) -> None:
    here = evaluate_lot(Counts(n, r), rate, LOT).log_likelihood_ratio
    assert evaluate_lot(Counts(n, r + 1), rate, LOT).log_likelihood_ratio > here
    assert evaluate_lot(Counts(n + 1, r), rate, LOT).log_likelihood_ratio < here


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 5)), max_size=30), st.floats(0.001, 0.3))
def test_a_product_is_judged_by_its_worst_run_of_days(counts: list[tuple[int, int]], rate: float) -> None:
    days = [DailyCounts(FIRST + timedelta(days=n), Counts(*pair)) for n, pair in enumerate(counts)]
    found = evaluate_product(days, rate, PRODUCT)
    runs = [days[i:j] for i in range(len(days)) for j in range(i + 1, len(days) + 1)]
    heights = [sum(mixture_log_ratio(day.counts, rate, [PRODUCT.rate_multiple]) for day in run) for run in runs]
    assert found.log_likelihood_ratio == pytest.approx(max([0.0, *heights]), abs=1e-9)
    assert evaluate_product(reversed(days), rate, PRODUCT) == found


def test_a_run_says_when_it_began() -> None:
    days = [DailyCounts(FIRST + timedelta(days=n), Counts(40, 0 if n < 20 else 4)) for n in range(24)]
    found = evaluate_product(days, 0.01, PRODUCT)
    assert (found.is_cluster, found.since, found.counts) == (True, FIRST + timedelta(days=20), Counts(160, 16))


@pytest.mark.parametrize(
    ("product", "shop", "expected"),
    [
        (Counts(), Counts(), BASE.default_rate),
        (Counts(), Counts(1_000_000, 50_000), 0.05),
        (Counts(1_000_000, 10_000), Counts(1_000_000, 50_000), 0.01),
        (Counts(1_000_000, 0), Counts(1_000_000, 0), BASE.min_rate),
        (Counts(200, 2), Counts(1_000_000, 50_000), 0.03),
    ],
)
def test_the_base_rate_is_the_products_own_as_far_as_it_is_known(
    product: Counts, shop: Counts, expected: float
) -> None:
    assert base_rate(product, shop, BASE) == pytest.approx(expected, rel=0.02)


def reports(random: Random, rate: float, pieces: int) -> Iterator[int]:
    """Draw the numbers of the reported pieces: each piece by chance."""
    number = 0
    while (number := number + 1 + int(log(1 - random.random()) / log(1 - rate))) <= pieces:
        yield number


def detected_at(random: Random, true_rate: float, base: float, pieces: int, test: LotTest) -> int | None:
    """Return the piece at which a lot is detected; tests after every report find all that there is to find."""
    for orders, piece in enumerate(reports(random, true_rate, pieces), 1):
        if evaluate_lot(Counts(piece, orders), base, test).is_cluster:
            return piece
    return None


@pytest.mark.parametrize("rate", [0.01, 0.05])
@pytest.mark.parametrize("false_alarm", [0.05, 0.01])
def test_a_good_lot_is_called_bad_as_seldom_as_stated(rate: float, false_alarm: float) -> None:
    """4,000 lots of 2,000 pieces each; the bound is Ville's, so the observed rate lies below it."""
    random, test = (
        Random(11),
        LotTest(false_alarm_probability=false_alarm, rate_multiples=LOT.rate_multiples, min_orders=1),
    )
    alarms = sum(detected_at(random, rate, rate, 2_000, test) is not None for _ in range(4_000))
    print(f"rate {rate}: {alarms / 4_000:.4f} false alarms, {false_alarm} stated")
    assert alarms / 4_000 <= false_alarm


@pytest.mark.parametrize(("times", "pieces"), [(3, 900), (6, 230), (12, 90)])
def test_a_bad_lot_is_found_about_as_soon_as_walds_formula_says(times: int, pieces: int) -> None:
    """Base rate 1 %. Wald: the border, divided by what a piece adds on average, `p(k ln k - (k - 1))`."""
    random, p = Random(12), 0.01
    delays = [detected_at(random, times * p, p, 100_000, LOT) for _ in range(500)]
    found = mean(delay for delay in delays if delay is not None)
    stated = (LOT.threshold + log(len(LOT.rate_multiples))) / (p * (times * log(times) - (times - 1)))
    print(f"{times} times the base rate: found after {found:.0f} pieces, {found * times * p:.1f} reports")
    assert None not in delays
    assert found == pytest.approx(stated, rel=0.35)
    assert found < pieces


def test_a_good_product_raises_an_alarm_as_seldom_as_stated() -> None:
    """Stated: 60 days or more, on average; the bound is Lorden's. 20 pieces a day, base rate 2 %, 300 histories."""
    random = Random(13)
    test = ProductTest(days_between_false_alarms=60, rate_multiple=4, recent_days=3660, min_orders=1)
    lengths = []
    for _ in range(300):
        height, length = 0.0, 0
        while height < test.threshold and length < 2_000:
            counts = Counts(20, sum(1 for _ in reports(random, 0.02, 20)))
            height, length = max(0.0, height) + mixture_log_ratio(counts, 0.02, [test.rate_multiple]), length + 1
        lengths.append(length)
    print(f"an alarm every {mean(lengths):.0f} days, 60 stated")
    assert mean(lengths) >= 60


def test_late_reports_of_a_big_season_are_no_cluster() -> None:
    """They count on the day their pieces arrived: 600 pieces a day until Christmas, then two a day."""
    days = [DailyCounts(FIRST + timedelta(days=n), Counts(600, 12)) for n in range(30)]
    days += [DailyCounts(FIRST + timedelta(days=30 + n), Counts(2, 0)) for n in range(20)]
    assert not evaluate_product(days, 0.02, PRODUCT).is_cluster
