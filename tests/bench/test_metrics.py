"""The arithmetic of the benchmark, and the form of its report."""

import io
import json

import pytest
from rich.console import Console

from deploy.local.command_line import CommandError
from tests.bench.baseline import batches, share
from tests.bench.latency import latencies_ms, percentile
from tests.bench.metrics import SYSTEM, BenchMetrics, FloodMetrics
from tests.bench.options import BenchOptions
from tests.bench.report import show

PROCESSES = (*SYSTEM, "partner", "driver")
ASKED_FOR = {"lifecycles_per_second", "cpu_ms_per_lifecycle", "ratio_to_baseline", "latency_ms", "peak_rss_mb"}


def some_figures() -> BenchMetrics:
    flood = FloodMetrics(
        issues=1_000,
        seconds=4.0,
        accept_seconds=2.0,
        cpu=dict.fromkeys(PROCESSES, 0.5),
        machine_cpu=6.0,
        notices={"sent": 3_000, "suppressed": 1_000},
    )
    return BenchMetrics(
        flood=flood,
        connections=64,
        steady_per_second=125.0,
        steady_cores=dict.fromkeys(PROCESSES, 0.1),
        latencies_ms=[float(ms) for ms in range(1, 101)],
        latencies_from_schedule_ms=[5.0],
        peak_rss_mb=dict.fromkeys(PROCESSES, 100.0),
        baseline_per_second=[9_000.0, 2_500.0, 2_400.0],
        baseline_cpu_ms=[0.7, 0.8, 0.9],
        records={"issues": 12.0, "notices": 4.0},
        row_changes={"intake.inbox": 20.0},
        broker="Apache Kafka",
    )


def test_lifecycles_per_second_are_counted_to_the_end_of_the_last_one() -> None:
    assert some_figures().document()["lifecycles_per_second"] == 250.0


def test_the_total_of_cpu_leaves_out_those_who_only_play_the_world() -> None:
    assert some_figures().document()["cpu_ms_per_lifecycle"]["total"] == 0.5 * len(SYSTEM)


def test_the_ratio_is_that_to_the_baseline() -> None:
    assert some_figures().document()["ratio_to_baseline"] == 0.1


def test_cores_used_by_other_processes_are_reported() -> None:
    assert some_figures().document()["cores_used_by_others"] == pytest.approx(0.5)


def test_records_are_given_by_topic_and_together() -> None:
    assert some_figures().document()["records_per_lifecycle"] == {"issues": 12.0, "notices": 4.0, "total": 16.0}


def test_notices_are_counted_against_the_cpu_of_their_service() -> None:
    assert some_figures().document()["notices_per_cpu_second"] == 8_000.0


def test_the_report_has_the_figures_that_are_compared_from_run_to_run() -> None:
    assert json.loads(json.dumps(some_figures().document())).keys() >= ASKED_FOR


def test_latency_is_given_as_median_and_as_the_worst_but_one_in_a_hundred() -> None:
    assert some_figures().document()["latency_ms"] == {"p50": 50.0, "p99": 99.0}


@pytest.mark.parametrize(
    ("values", "part", "expected"),
    [([3.0], 0.99, 3.0), ([1.0, 2.0], 0.5, 1.0), ([4.0, 1.0, 3.0, 2.0], 0.75, 3.0), ([1.0, 2.0, 9.0], 0.99, 9.0)],
)
def test_a_percentile_is_a_value_that_was_measured(values: list[float], part: float, expected: float) -> None:
    assert percentile(values, part) == expected


def test_there_is_no_percentile_of_nothing() -> None:
    with pytest.raises(ValueError, match="values: empty"):
        percentile([], 0.5)


def test_a_record_that_was_readable_before_the_answer_was_heard_took_no_time() -> None:
    assert latencies_ms({"a": 2.0, "b": 1.0, "c": 1.0}, {"a": 1.9, "b": 1.5}) == [0.0, 500.0]


def test_the_table_names_every_process() -> None:
    console = Console(file=io.StringIO(), width=120)
    show(console, some_figures().document())
    assert all(name in console.file.getvalue() for name in PROCESSES)  # type: ignore[attr-defined]


@pytest.mark.parametrize("per_lifecycle", [0.25, 1.0, 4.37])
def test_the_batches_of_the_baseline_add_up_to_the_right_number(per_lifecycle: float) -> None:
    assert sum(share(per_lifecycle, *batch) for batch in batches(1_050)) == round(per_lifecycle * 1_050)


@pytest.mark.parametrize("wrong", ["0", "many", "-5", "1.5"])
def test_a_wrong_number_of_issues_is_refused_by_name(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISSUES", wrong)
    with pytest.raises(CommandError, match="ISSUES"):
        BenchOptions.from_environment()
