"""The arithmetic of the benchmark, and the form of its report."""

import io
import json

import pytest
from rich.console import Console

from deploy.local.command_line import CommandError
from tests.bench.against import bench_module
from tests.bench.baseline import batches
from tests.bench.baseline_plan import PLAN, records_per_lifecycle
from tests.bench.latency import latencies_ms, percentile
from tests.bench.metrics import SYSTEM, BenchMetrics, FloodMetrics, interpreter
from tests.bench.options import PARTS, BenchOptions
from tests.bench.profiled import part_of
from tests.bench.report import TARGETS, missed, show, value_at

PROCESSES = (*SYSTEM, "partner", "driver")
KEYS = [
    "lifecycles_per_second",
    "cpu_ms_per_lifecycle",
    "cpu_against",
    "cpu_ratio_to_bare_loop",
    "latency_ms",
    "tracing",
    "wal_kb_per_lifecycle",
    "past_million",
    "replicas",
    "cores_at_rest",
    "seconds_to_ready",
    "peer",
    "peak_rss_mb",
    "interpreter",
]


def flood_metrics() -> FloodMetrics:
    return FloodMetrics(
        issues=1_000,
        seconds=4.0,
        accept_seconds=2.0,
        cpu=dict.fromkeys(PROCESSES, 0.5),
        machine_cpu=6.0,
        wal_bytes=50_000_000,
    )


def some_metrics() -> BenchMetrics:
    return BenchMetrics(
        flood=flood_metrics(),
        idle_ms=[float(ms) for ms in range(1, 101)],
        half_load_ms=[5.0],
        cpu_against=0.5,
        speed_against=1.9,
        baseline_cpu_ms=1.2,
        tracing={"all": 1.1, "one_in_ten": 1.06},
        past_million=1.0,
        replicas={"2": 1.0, "4": 1.2},
        cores_at_rest=0.05,
        seconds_to_ready=1.5,
        peer=("a queue", 6.0),
        peak_rss_mb=dict.fromkeys(PROCESSES, 100.0),
        interpreter="Python",
    )


def shown(metrics: BenchMetrics) -> str:
    console = Console(file=io.StringIO(), width=200)
    show(console, metrics)
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def test_the_report_has_exactly_the_metrics_that_are_compared_from_run_to_run() -> None:
    assert list(json.loads(json.dumps(some_metrics().document()))) == KEYS


def test_what_a_run_did_not_measure_is_null_in_its_report() -> None:
    document = BenchMetrics(interpreter="Python").document()
    assert list(document) == KEYS
    assert [value_at(document, target.path) for target in TARGETS] == [None] * len(TARGETS)


def test_the_table_says_why_a_metric_was_not_measured() -> None:
    text = shown(BenchMetrics(missing={"peer": "procrastinate is not installed"}))
    assert "not measured: procrastinate is not installed" in text
    assert "not measured: not part of this run" in text


def test_lifecycles_per_second_are_counted_to_the_end_of_the_last_one() -> None:
    assert some_metrics().document()["lifecycles_per_second"] == 250.0


def test_the_total_of_cpu_leaves_out_those_who_only_play_the_world() -> None:
    assert some_metrics().document()["cpu_ms_per_lifecycle"] == 0.5 * len(SYSTEM)


def test_the_ratio_to_the_bare_loop_rises_when_the_system_needs_less() -> None:
    assert some_metrics().document()["cpu_ratio_to_bare_loop"] == 0.4


def test_the_log_is_counted_per_lifecycle() -> None:
    assert some_metrics().document()["wal_kb_per_lifecycle"] == 50.0


def test_cores_used_by_other_processes_are_reported() -> None:
    assert flood_metrics().other_cores == pytest.approx(0.5)


def test_latency_is_given_as_median_and_as_the_worst_but_one_in_a_hundred() -> None:
    assert some_metrics().document()["latency_ms"]["idle"] == {"p50": 50.0, "p99": 99.0}


def test_every_missed_target_is_named() -> None:
    expected = [
        "lifecycles_per_second",
        "cpu_ratio_to_bare_loop",
        "latency_ms.idle.p50",
        "latency_ms.idle.p99",
        "tracing.one_in_ten",
        "wal_kb_per_lifecycle",
        "replicas.4",
    ]
    assert missed(some_metrics().document()) == expected
    assert "missed targets: " + ", ".join(expected) in shown(some_metrics())


def test_every_target_is_about_a_metric_of_the_report() -> None:
    document = some_metrics().document()
    assert all(value_at(document, target.path) is not None for target in TARGETS)


def test_the_interpreter_is_named_with_its_build_and_its_speed_over_the_run() -> None:
    text = interpreter([3.0, 5.0, 4.0])
    assert "PGO" in text
    assert "3.0 to 5.0, median 4.0 million strings/s" in text


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
    assert all(name in shown(some_metrics()) for name in PROCESSES)


def test_the_batches_of_the_bare_loop_cover_every_lifecycle_once() -> None:
    assert [n for begin, end in batches(1_050) for n in range(begin, end)] == list(range(1_050))


def test_the_bare_loop_stays_the_one_of_2026() -> None:
    records = records_per_lifecycle()
    read = sum(records[topic] for part in PLAN if part.name != "partner" for topic in part.reads)
    changes = sum(t.inserts + t.updates + t.deletes for part in PLAN for t in part.tables)
    assert (sum(records.values()), read, changes) == (26, 65, 151)


@pytest.mark.parametrize("wrong", ["0", "many", "-5", "1.5"])
def test_a_wrong_number_of_issues_is_refused_by_name(wrong: str) -> None:
    with pytest.raises(CommandError, match="ISSUES"):
        BenchOptions.from_environment({"ISSUES": wrong})


def test_an_unknown_part_is_refused_with_the_known_ones() -> None:
    with pytest.raises(CommandError, match="PARTS: 'lunch' is not a part; write some of flood,latency"):
        BenchOptions.from_environment({"PARTS": "flood,lunch"})


def test_a_quick_run_has_all_parts_and_fewer_issues() -> None:
    quick = BenchOptions.from_environment({"QUICK": "1"})
    assert quick.parts == PARTS
    assert quick.issues < BenchOptions.from_environment({}).issues


@pytest.mark.parametrize(
    ("makefile", "module"),
    [
        ("bench: $(STAMP) ## flood\n\t@$(RUN) -m tests.bench.run\n\t@$(RUN) -m tests.bench.desk\n", "tests.bench.run"),
        ("demo:\n\t@$(RUN) -m demo\n\nbench: x\n\techo\n\t@$(RUN) -m deploy.local.bench\n", "deploy.local.bench"),
    ],
)
def test_another_revision_is_driven_by_its_own_bench_command(makefile: str, module: str) -> None:
    assert bench_module(makefile) == module


def test_a_revision_without_a_bench_cannot_be_compared() -> None:
    with pytest.raises(CommandError, match="no target bench"):
        bench_module("demo:\n\t@$(RUN) -m demo\n")


@pytest.mark.parametrize(
    ("file", "part"),
    [
        ("/srv/app/services/returns/domain/decide.py", "returns.domain"),
        ("/srv/app/libs/common/messaging/relay.py", "common.messaging"),
        ("/usr/lib/python3/site-packages/asyncpg/connection.py", "asyncpg"),
        ("/usr/lib/python3/uuid.py", None),
    ],
)
def test_a_profile_names_rooms_and_packages(file: str, part: str | None) -> None:
    assert part_of(file) == part
