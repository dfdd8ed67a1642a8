"""Runs a program of ours on the bytes of a stranger: isolated from the project, and without our environment.

Such a program limits its own memory and CPU time; the time here ends it on a machine that is too busy for that.
"""

import os
import subprocess
import sys
from pathlib import Path

_KEPT_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH")


def run_isolated(program: Path, content: bytes, seconds: float) -> "subprocess.CompletedProcess[bytes]":
    """Run a Python file with this standard input; its environment holds no secrets of ours.

    Raises `subprocess.TimeoutExpired`.
    """
    environment = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-I", str(program)],
        input=content,
        capture_output=True,
        env={**environment, "MALLOC_ARENA_MAX": "1"},
        timeout=seconds,
        check=False,
    )
