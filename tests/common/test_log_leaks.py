"""The test run fails if personal data or a secret is logged, written to a log file, or sent as a span."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.paths import ROOT
from tests.common.leaks import leaks
from tests.log_leak_plugin import Listener, Spans, of_files, sizes
from tests.traces.receiver import receiver

TESTS = """
import logging, pytest
def test_quiet(): logging.getLogger("services.x").debug("issue 7 accepted")
def test_loud(): logging.getLogger("services.x").debug("told %s", "hanako" + "@example.jp")
@pytest.fixture(scope="session", autouse=True)
def late():
    yield
    logging.getLogger("libs.y").warning("key %s", "ops-key-for-" + "tests-only")
def test_after(): pass
"""


@pytest.mark.timeout(420)
@pytest.mark.parametrize("workers", [[], ["-p", "xdist", "-n", "1"]])
def test_a_run_fails_that_logged_an_address(tmp_path: Path, workers: list[str]) -> None:
    (tmp_path / "test_some.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "tests.log_leak_plugin",
        "--rootdir",
        str(tmp_path),
        "-q",
        *workers,
        ".",
    ]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    env.pop("PYTEST_XDIST_WORKER", None)
    done = subprocess.run(command, check=False, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=400)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "services.x (test_some.py:4) logged ['hanako@', 'hanako@example.jp']" in done.stdout
    assert "libs.y (test_some.py:8) logged ['ops-key-for-tests-only']" in done.stdout
    assert "test_quiet" not in done.stdout


def test_a_log_file_that_holds_an_address_is_named(tmp_path: Path) -> None:
    old, new = tmp_path / "old.log", tmp_path / "deep" / "new.log"
    old.write_text("long ago: hanako@example.jp\n")
    before = sizes(tmp_path)
    new.parent.mkdir()
    new.write_text("started\nDETAIL: Failing row contains (7, 東京都 渋谷区 神宮前 9-99-9)\n")
    with old.open("a") as file:
        file.write("nothing to see\n")
    (found,) = of_files(before, tmp_path)
    assert found.startswith("deep/new.log holds ['神宮前'] (1 lines): DETAIL")


def test_a_span_that_holds_a_signed_link_is_shown() -> None:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    spans = Spans()
    with receiver(spans.search) as running:
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{running.endpoint}/v1/traces")))
        tracer = provider.get_tracer("test")
        tracer.start_span("GET /s/{token}").end()
        assert spans.take() == []
        tracer.start_span("GET", attributes={"url.path": "/s/WyJhYmNkZWZnaGlqa2xtbm9wIl0.abcdefghijk"}).end()
        provider.shutdown()
    (found,) = spans.take()
    assert spans.searched == 2
    assert "a span held '/s/Wy" in found


def test_what_the_tests_own_tools_say_is_left_alone_and_a_broken_line_is_not() -> None:
    listener = Listener()

    def say(name: str, message: str, *values: object) -> None:
        listener.emit(logging.LogRecord(name, logging.INFO, "place.py", 1, message, values, None))

    say("httpx", "GET /v1?q=hanako@example.jp")
    say("mail.log", "RCPT hanako@example.jp")
    assert listener.take() == []
    say("services.intake", "hanako@example.jp %s %s", 1)
    assert len(listener.take()) == 1
    assert listener.take() == []


@pytest.mark.parametrize(
    "text",
    [
        "mail hanako@example.jp",
        "GET /s/WyJhYmNkZWZnaGlqa2xtbm9wIl0.abcdefghijk",
        "key ops-key-for-tests-only",
        "connecting to postgresql://intake:abc123@127.0.0.1:5432/intake",
    ],
)
def test_what_no_log_may_hold_is_found(text: str) -> None:
    assert leaks(text)
    assert leaks("POST /s/{token}/photos failed for issue 7, shop@example.jp, http://service:80/@x") == []
