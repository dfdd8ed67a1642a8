"""Runs a service and samples where its CPU time goes, every 2 ms of it.

    PROFILE_FOLDER=<folder> python -m tests.bench.profiled services.intake.app

At the end it writes `<folder>/<service>.json`: samples by part since the last SIGUSR1. A sample belongs to the
innermost function of our own code, unless a library that works on behalf of all (Kafka client, database driver,
validation) lies below it.
"""

import atexit
import json
import os
import runpy
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType

INTERVAL = 0.002
_PACKAGES = "site-packages/"

_samples: Counter[str] = Counter()


def part_of(file: str) -> str | None:
    """The part that a source file belongs to; None for code that works for its caller."""
    if _PACKAGES in file:
        package = file.rpartition(_PACKAGES)[2].partition("/")[0]
        return package.removesuffix(".py")
    for root in ("/services/", "/libs/"):
        if root in file:
            return ".".join((root + file.rpartition(root)[2]).strip("/").removesuffix(".py").split("/")[1:3])
    return None


def sample(_: int, frame: FrameType | None) -> None:
    while frame is not None:
        if part := part_of(frame.f_code.co_filename):
            _samples[part] += 1
            return
        frame = frame.f_back
    _samples["event loop"] += 1


def write(folder: Path, service: str) -> None:
    signal.setitimer(signal.ITIMER_PROF, 0)
    (folder / f"{service}.json").write_text(json.dumps(dict(_samples)), encoding="utf-8")


def main() -> None:
    service = sys.argv[1].split(".")[1]
    atexit.register(write, Path(os.environ["PROFILE_FOLDER"]), service)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn raises the signal again when it has shut down
    signal.signal(signal.SIGUSR1, lambda *_: _samples.clear())
    signal.signal(signal.SIGPROF, sample)
    signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)
    runpy.run_module("libs.common.runtime", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
