"""Slow disk under Postgres: a preloaded library lets each fsync wait, and counts the waits.

The disks that can be mounted here are memory, which no setting makes slow, and freezing the WAL writer would not hold
up a COMMIT, which syncs by itself. The library is built by the C compiler of the machine; without one there is no such
fault.
"""

import mmap
import os
import shutil
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("slow_fsync.c")
_NUMBERS = struct.Struct("=qq")


class NoCompilerError(Exception):
    """No C compiler, or it failed; the message has the reason."""


@dataclass(frozen=True)
class SlowFsync:
    """`environ` is for the server's process; `folder` is readable by its account and removed by `remove`."""

    folder: Path

    @classmethod
    def build(cls) -> "SlowFsync":
        """Compile the library. Raises `NoCompilerError`."""
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            raise NoCompilerError("no C compiler (cc) on this machine")
        folder = Path(tempfile.mkdtemp(prefix="slow-fsync-"))
        folder.chmod(0o755)
        made = cls(folder)
        command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(made._library), str(SOURCE), "-ldl"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            made.remove()
            raise NoCompilerError(done.stderr.strip()[-300:])
        made._numbers.write_bytes(bytes(_NUMBERS.size))
        made._numbers.chmod(0o666)
        return made

    @property
    def _library(self) -> Path:
        return self.folder / "slow_fsync.so"

    @property
    def _numbers(self) -> Path:
        return self.folder / "numbers"

    @property
    def environ(self) -> dict[str, str]:
        return {"LD_PRELOAD": str(self._library), "SLOW_FSYNC_FILE": str(self._numbers)}

    def wait(self, seconds: float) -> None:
        """Let each fsync wait so long from now on; 0: not at all."""
        with self._open() as numbers:
            numbers[0:8] = struct.pack("=q", int(seconds * 1_000_000))

    @property
    def waited(self) -> int:
        """Number of calls that waited."""
        with self._open() as numbers:
            return int(_NUMBERS.unpack(numbers[:])[1])

    def _open(self) -> mmap.mmap:
        file = os.open(self._numbers, os.O_RDWR)
        try:
            return mmap.mmap(file, _NUMBERS.size)
        finally:
            os.close(file)

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
