"""Ports reserved by one run are not given to another, although nothing listens on them for a while."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from deploy.local import ports
from deploy.local.paths import ROOT

KEEPER = """
import sys
from deploy.local.ports import kept_port
print(kept_port(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def kept() -> Iterator[int]:
    """A port that another process has reserved without listening on it."""
    command = [sys.executable, "-c", KEEPER]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as keeper:
        assert keeper.stdout is not None
        yield int(keeper.stdout.readline())
        assert keeper.stdin is not None
        keeper.stdin.close()


def test_a_port_that_another_run_keeps_is_given_to_nobody(kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    offered = iter([kept, kept + 1, kept + 2, kept + 3])
    monkeypatch.setattr("random.choice", lambda _: next(offered))
    assert ports.free_port() != kept


def test_a_port_that_we_keep_is_given_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = ports.kept_port()
    offered = iter([first, first + 1, first + 2, first + 3])
    monkeypatch.setattr("random.choice", lambda _: next(offered))
    assert ports.kept_port() != first


def test_a_process_that_kept_ports_ends_without_a_warning() -> None:
    command = [sys.executable, "-X", "dev", "-W", "error::ResourceWarning", "-c", KEEPER]
    ended = subprocess.run(command, cwd=ROOT, input="", capture_output=True, text=True, check=True)
    assert ended.stderr == ""
