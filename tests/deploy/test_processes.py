"""The supervisor detects readiness, and no process is left behind however a run ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from deploy.local.managed_process import ManagedProcess, NotReadyError
from deploy.local.paths import ROOT
from deploy.local.ports import free_port
from deploy.local.processes import Supervisor, answers_ok

SERVER = """
import http.server, os, sys
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health/ready" else 404)
        self.end_headers()
print("serving for", os.environ.get("WHO", "nobody"))
http.server.HTTPServer((os.environ["HTTP_HOST"], int(os.environ["HTTP_PORT"])), Health).serve_forever()
"""

OWNER = f"""
import sys, time
from pathlib import Path
from deploy.local.process_guard import exit_on_signals
from deploy.local.paths import run_folder
from deploy.local.processes import Supervisor
with exit_on_signals(), run_folder("test", Path(sys.argv[1])) as folder, Supervisor(Path(sys.argv[1])) as supervisor:
    child = supervisor.start("child", ["-c", {SERVER!r}], port=int(sys.argv[2]))
    supervisor.wait_ready()
    print(child.pid, folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    with Supervisor(tmp_path) as supervisor:
        yield supervisor


def test_a_process_is_ready_when_it_says_so(supervisor: Supervisor) -> None:
    process = supervisor.start("server", ["-c", SERVER], port=free_port())
    supervisor.wait_ready()
    assert answers_ok(f"{process.url}/health/ready")


def test_each_process_has_a_log_of_its_own_and_its_environment(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.start("server", ["-c", SERVER], {"WHO": "returns"}, port=free_port())
    supervisor.wait_ready()
    assert "serving for returns" in (tmp_path / "server.log").read_text()


def test_killed_and_restarted_it_is_another_process_at_the_same_address(supervisor: Supervisor) -> None:
    process = supervisor.start("server", ["-c", SERVER], port=free_port())
    process.wait_ready()
    before = process.pid
    process.kill()
    assert not psutil.pid_exists(before)
    process.restart()
    assert answers_ok(f"{process.url}/health/ready")


def test_one_that_ends_before_it_is_ready_is_reported_with_its_log(supervisor: Supervisor) -> None:
    supervisor.start("server", ["-c", "raise SystemExit('DATABASE_URL: missing')"], port=free_port())
    with pytest.raises(NotReadyError, match=r"server ended with code 1; correct the cause .*\nDATABASE_URL: missing"):
        supervisor.wait_ready()


def test_one_that_never_gets_ready_is_reported(supervisor: Supervisor) -> None:
    supervisor.start("server", ["-c", "import time; time.sleep(60)"], port=free_port())
    with pytest.raises(NotReadyError, match=r"not ready after 0\.2 s"):
        supervisor.wait_ready(timeout=0.2)


def test_one_that_dies_later_is_noticed(supervisor: Supervisor) -> None:
    process = supervisor.start("server", ["-c", SERVER], port=free_port())
    process.wait_ready()
    supervisor.check()
    os.kill(process.pid, signal.SIGKILL)
    process.child.wait(timeout=5)
    with pytest.raises(NotReadyError, match="server ended with code -9"):
        supervisor.check()


def test_one_that_was_killed_on_purpose_is_no_failure(supervisor: Supervisor) -> None:
    process = supervisor.start("server", ["-c", SERVER], port=free_port())
    process.wait_ready()
    process.kill()
    supervisor.check()


def is_ready(child: ManagedProcess) -> bool:
    return "ready" in child.log.read_text()


def test_they_are_stopped_last_one_first(tmp_path: Path) -> None:
    note = "import atexit, signal, sys, time; signal.signal(15, lambda *_: sys.exit());"
    order_file = tmp_path / "order"
    with Supervisor(tmp_path) as supervisor:
        for name in ("first", "second"):
            at_end = f"atexit.register(lambda: open({str(order_file)!r}, 'a').write('{name} '));"
            child = supervisor.start(name, ["-c", f"{note} {at_end} print('ready'); time.sleep(60)"]).child
            child.wait_until(partial(is_ready, child), timeout=10)
    assert order_file.read_text() == "second first "


def test_a_child_cannot_be_started_twice(tmp_path: Path) -> None:
    child = ManagedProcess("sleeper", [sys.executable, "-c", "import time; time.sleep(60)"], log=tmp_path / "log")
    child.start()
    with pytest.raises(RuntimeError, match="already running"):
        child.start()
    child.kill()


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_no_process_and_no_folder_outlives_its_owner(tmp_path: Path, end: signal.Signals) -> None:
    command = [sys.executable, "-c", OWNER, str(tmp_path), str(free_port())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, stderr=subprocess.DEVNULL) as owner:
        assert owner.stdout is not None
        pid, folder = owner.stdout.readline().split()
        child = psutil.Process(int(pid))
        owner.send_signal(end)
    guard_is_done = time.monotonic() + 10
    while Path(folder).exists() and time.monotonic() < guard_is_done:
        time.sleep(0.02)
    assert not Path(folder).exists()
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
