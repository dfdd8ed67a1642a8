"""Pytest plugin: searches all log lines and spans of the run for personal data and secrets, see `leaks`.

A test that logs any fails, with the place of the call. Log files of processes and spans of the run's receiver are
searched at the end of the run by the controlling process. Logs are searched at INFO, those of the product at DEBUG.
"""

import logging
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import pytest

from deploy.local.paths import LOGS
from tests.common.leaks import leaks
from tests.traces.receiver import receiver

OF_TESTS = ("httpx", "httpcore", "hypothesis", "mail.log", "mail.debug", "moto", "botocore", "werkzeug", "urllib3")
"""The browser, mail server and stores that tests bring along: they say what they were sent."""

OF_THE_PRODUCT = ("services", "libs")

Sizes = Mapping[Path, int]


class Listener(logging.Handler):
    """Log handler that stores leaks with their place."""

    def __init__(self) -> None:
        super().__init__()
        self._found: list[str] = []
        self.setFormatter(logging.Formatter())

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.split(".")[0] in OF_TESTS or record.name in OF_TESTS:
            return
        try:
            text = self.format(record)
        except Exception as error:  # a line that cannot be formatted cannot be read by anybody either
            text = f"{record.msg!r} could not be formatted: {error!r}"
        if found := leaks(text):
            place = f"{record.name} ({Path(record.pathname).name}:{record.lineno})"
            self._found.append(f"{place} logged {found}: {text:.300}")

    def take(self) -> list[str]:
        """Return and clear what was found."""
        found, self._found = self._found, []
        return found


class Spans:
    """Search of spans as they arrive; spans are not stored."""

    def __init__(self) -> None:
        self.searched = 0
        self._found: dict[str, None] = {}
        self._lock = Lock()

    def search(self, exported: bytes) -> None:
        text = exported.decode("utf-8", "replace")
        with self._lock:
            self.searched += 1
            for found in leaks(text):
                where = text.index(found)
                self._found.setdefault(f"a span held {found!r}: {text[max(0, where - 200) : where + 100]!r}")

    def take(self) -> list[str]:
        return list(self._found)


def sizes(folder: Path) -> Sizes:
    """Return the current length of each log."""
    return {path: path.stat().st_size for path in folder.rglob("*.log")} if folder.exists() else {}


def written_since(before: Sizes, folder: Path) -> Iterator[tuple[Path, str]]:
    """Return what was added to the logs of a folder; a log shorter than before was truncated."""
    for path, size in sizes(folder).items():
        begin = before.get(path, 0)
        if size != begin:
            with path.open("rb") as file:
                file.seek(begin if size > begin else 0)
                yield path, file.read().decode("utf-8", "replace")


def of_files(before: Sizes, folder: Path) -> list[str]:
    """Return one entry per log with a leak."""
    found = []
    for path, text in written_since(before, folder):
        lines = [(line, seen) for line in text.splitlines() if (seen := leaks(line))]
        if lines:
            line, seen = lines[0]
            found.append(f"{path.relative_to(folder)} holds {seen} ({len(lines)} lines): {line:.300}")
    return found


_listener = pytest.StashKey[Listener]()
_spans = pytest.StashKey[Spans]()
_sizes = pytest.StashKey[Sizes]()
_at_the_end = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    listener = config.stash[_listener] = Listener()
    config.stash[_spans], config.stash[_at_the_end] = Spans(), []
    logging.getLogger().addHandler(listener)
    logging.getLogger().setLevel(logging.INFO)
    for name in OF_THE_PRODUCT:
        logging.getLogger(name).setLevel(logging.DEBUG)
    if not hasattr(config, "workerinput"):
        config.stash[_sizes] = sizes(LOGS)


@contextmanager
def span_receiver(config: pytest.Config) -> Iterator[str]:
    """Endpoint for the spans of this run's services, see `traced` in tests/running.py."""
    with receiver(config.stash[_spans].search) as running:
        yield running.endpoint


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    yield
    found = item.config.stash[_listener].take()
    assert not found, "logged what no log may hold:\n" + "\n".join(found)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Collect what a worker logged after its last test."""
    node.config.stash[_at_the_end] += getattr(node, "workeroutput", {}).get("leaks", [])


def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    found = config.stash[_at_the_end] = [*config.stash[_at_the_end], *config.stash[_listener].take()]
    if hasattr(config, "workeroutput"):
        config.workeroutput["leaks"] = found
        return
    found += of_files(config.stash[_sizes], LOGS) + config.stash[_spans].take()
    if found:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for one in config.stash[_at_the_end]:
        terminalreporter.write_line(f"LEAK {one}", red=True)


def pytest_unconfigure(config: pytest.Config) -> None:
    logging.getLogger().removeHandler(config.stash[_listener])
