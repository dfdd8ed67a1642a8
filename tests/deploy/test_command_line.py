"""Commands answer a wrong setting or a missing resource with one line on stderr and exit code 2."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.local import apache_kafka, ports
from deploy.local.command_line import CommandError, exit_on_error
from deploy.local.environment import flag, integer, output_file, positive_number
from deploy.local.paths import ROOT

DEMO, FAULTS, BENCH = "deploy.demo.run", "tests.faults", "tests.bench.run"

REFUSED = {
    "a seed that is no number": (DEMO, {"SEED": "abc"}, "demo: SEED: 'abc' is not a whole number"),
    "an unknown broker": (DEMO, {"BROKER": "x"}, "demo: BROKER: 'x' is not a broker; write apache or embedded"),
    "a folder that is missing": (DEMO, {"ORDERS": "/nowhere"}, "demo: ORDERS: /nowhere is not a folder"),
    "a folder without orders": (DEMO, {"ORDERS": "/proc"}, "demo: ORDERS: /proc: no olist_order_items_dataset.csv"),
    "a report that cannot be written": (DEMO, {"REPORT": "/nowhere/x"}, "demo: REPORT: the folder /nowhere does not"),
    "a time that is no number": (FAULTS, {"SECONDS": "x"}, "faults: SECONDS: 'x' is not a number above 0"),
    "an infinite time": (FAULTS, {"SECONDS": "inf"}, "faults: SECONDS: 'inf' is not a number above 0"),
    "a seed of the fault tests": (FAULTS, {"SEED": "abc"}, "faults: SEED: 'abc' is not a whole number"),
    "a number of issues": (BENCH, {"ISSUES": "many"}, "bench: ISSUES: 'many' is not a whole number from 100 to"),
    "a number of pages": ("tests.bench.desk", {"DESK_ISSUES": "x"}, "bench: DESK_ISSUES: 'x' is not a whole number"),
    "a number of notices": ("tests.bench.notices", {"NOTICES": "0"}, "bench: NOTICES: '0' is not a whole number"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_setting_is_one_line_and_exit_code_2(case: str) -> None:
    module, settings, message = REFUSED[case]
    done = subprocess.run(
        [sys.executable, "-m", module],
        cwd=ROOT,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert done.stderr.startswith(message)


def fail(error: BaseException) -> Callable[[], None]:
    def raise_it() -> None:
        raise error

    return raise_it


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (CommandError("SEED: wrong"), 2, "demo: SEED: wrong\n"),
        (OSError(28, "No space left", "/data"), 2, "demo: OSError: [Errno 28] No space left: '/data'\n"),
        (ConnectionError("Connect\ncall failed"), 2, "demo: ConnectionError: Connect call failed\n"),
        (KeyboardInterrupt(), 130, "demo: interrupted\n"),
    ],
)
def test_an_expected_error_ends_the_command_with_its_text(
    error: BaseException, code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended, exit_on_error("demo"):
        fail(error)()
    assert ended.value.code == code
    assert capsys.readouterr().err.startswith(text)


def test_an_unexpected_error_keeps_its_stack_trace() -> None:
    with pytest.raises(KeyError), exit_on_error("demo"):
        fail(KeyError("a bug"))()


def test_numbers_are_checked_against_their_range() -> None:
    assert integer("N", 7, environ={}) == 7
    assert integer("N", 7, environ={"N": "12"}) == 12
    assert positive_number("S", 1, 10, {"S": "0.5"}) == 0.5
    for text in ("-1", "1.5", "٣", " 3", "99"):
        with pytest.raises(CommandError, match="N: "):
            integer("N", 7, 0, 20, {"N": text})
    for text in ("0", "nan", "inf", "11", "x"):
        with pytest.raises(CommandError, match="S: "):
            positive_number("S", 1, 10, {"S": text})


def test_a_flag_is_off_when_it_is_empty_zero_or_false() -> None:
    assert [flag("F", {"F": text}) for text in ("", "0", "False", "1", "yes")] == [False, False, False, True, True]


def test_a_report_needs_a_writable_folder(tmp_path: Path) -> None:
    assert output_file("REPORT", {"REPORT": str(tmp_path / "r.json")}) == tmp_path / "r.json"
    with pytest.raises(CommandError, match="is a folder; name a file"):
        output_file("REPORT", {"REPORT": str(tmp_path)})


def test_a_failing_maven_is_reported_with_its_error_and_the_alternative(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    maven = tmp_path / "mvn"
    maven.write_text("#!/bin/sh\necho '[INFO] Scanning'; echo '[ERROR] Could not resolve kafka_2.13' >&2; exit 1\n")
    maven.chmod(0o755)
    monkeypatch.setattr(apache_kafka, "CACHE", tmp_path / "cache")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(CommandError, match=r"^mvn ended with code 1: \[ERROR\] Could not resolve .* BROKER=embedded$"):
        apache_kafka.download()


def test_a_machine_without_free_ports_is_an_error_instead_of_an_endless_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as listener:
        listener.bind((ports.LOOPBACK, 0))
        taken = listener.getsockname()[1]
        monkeypatch.setattr("random.choice", lambda _: taken)
        with pytest.raises(CommandError, match=r"no free port from 12000 to 29999"):
            ports.free_port()
