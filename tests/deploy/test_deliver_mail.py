"""`sakidashi deliver-mail`: the exit code by which a mail server keeps a mail, returns it, or is done."""

import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler

import pytest

from deploy.local.paths import ROOT
from tests.traces.receiver import listening

MAIL = b"From: a@example.jp\r\n\r\n\xff not UTF-8"


def deliver(url: str) -> int:
    command = [sys.executable, "-m", "deploy.cli", "deliver-mail", "--url", url, "--key", "the-key"]
    done = subprocess.run(command, input=MAIL, cwd=ROOT, capture_output=True, check=False, timeout=60)
    return done.returncode


def answering(status: int, received: list[bytes]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Print nothing."""

    return Handler


@pytest.mark.parametrize(
    ("status", "code"),
    [(202, os.EX_OK), (422, os.EX_DATAERR), (401, os.EX_NOPERM), (429, os.EX_TEMPFAIL), (503, os.EX_TEMPFAIL)],
)
def test_the_answer_of_intake_becomes_an_exit_code(status: int, code: int) -> None:
    received: list[bytes] = []
    with listening(answering(status, received)) as url:
        assert deliver(url) == code
    assert received == [MAIL]


def test_without_an_answer_the_mail_is_delivered_again() -> None:
    assert deliver("http://127.0.0.1:1") == os.EX_TEMPFAIL
