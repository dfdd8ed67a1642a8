"""A small disk for Postgres that can be filled: a tmpfs of a fixed size, which only root may mount.

A ballast file takes all free space, so that Postgres meets the real ENOSPC at its next write: in a table, which fails
one transaction, or in its log, which ends the server until there is space again.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.process_guard import PROCESS_GUARD

SIZE_MB = 1024
_CHUNK = 1024 * 1024


class NoDiskError(Exception):
    """No disk of a fixed size can be mounted here; the message contains the reason."""


@dataclass
class Disk:
    """`path` is set by `mount`; `reason` where the disk cannot be filled here."""

    size_mb: int = SIZE_MB
    path: Path | None = None
    reason: str = ""
    _ballasts: list[Path] = field(default_factory=list)

    def mount(self, folder: Path) -> None:
        """Mount a disk of our size at `folder`; where that fails, set `reason` and mount nothing."""
        if os.geteuid() != 0:
            self.reason = "only root may mount a disk of its own for Postgres"
            return
        options = f"size={self.size_mb}m,mode=0700"
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError as error:
            self.reason = str(error)
            return
        if done.returncode:
            self.reason = f"a tmpfs cannot be mounted here: {done.stderr.strip()}"
            return
        PROCESS_GUARD.unmount_at_exit(folder)
        self.path = folder

    def unmount(self) -> None:
        if self.path:
            subprocess.run(["umount", "--lazy", str(self.path)], capture_output=True, check=False)
            self.path = None

    def fill(self) -> int:
        """Take all free space to the last block; returns the number of bytes."""
        if self.path is None:
            raise NoDiskError(self.reason)
        ballast = self.path / f"ballast-{len(self._ballasts)}"
        self._ballasts.append(ballast)
        with ballast.open("wb", buffering=0) as file:
            return _write_until_full(file.fileno())

    def free(self) -> None:
        """Remove the ballast."""
        while self._ballasts:
            self._ballasts.pop().unlink(missing_ok=True)

    def left(self) -> int:
        """Free bytes."""
        return shutil.disk_usage(self.path).free if self.path else 0


def _write_until_full(file: int) -> int:
    written, size = 0, _CHUNK
    while size >= 512:
        try:
            written += os.write(file, bytes(size))
        except OSError:
            size //= 2
    return written
