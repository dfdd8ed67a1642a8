"""CPU and memory by process with all children: Postgres has one for each connection."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

import psutil

SAMPLE_SECONDS = 0.5


@dataclass
class ResourceUsage:
    """Monitors process trees by name. `peak_mb` is the maximum memory of each."""

    pids: Mapping[str, int]
    peak_mb: dict[str, float] = field(default_factory=dict)

    def cpu_seconds(self) -> dict[str, float]:
        """CPU so far, user and system, of each tree; includes ended children that their parent has reaped."""
        return {name: _cpu_of(pid) for name, pid in self.pids.items()}

    def sample_memory(self) -> None:
        """Record the present memory of each."""
        for name, pid in self.pids.items():
            self.peak_mb[name] = max(self.peak_mb.get(name, 0.0), _memory_of(pid) / 2**20)

    @contextlib.asynccontextmanager
    async def sampling(self) -> AsyncIterator["ResourceUsage"]:
        """Sample the memory until the block is left."""

        async def watch() -> None:
            while True:
                self.sample_memory()
                await asyncio.sleep(SAMPLE_SECONDS)

        task = asyncio.create_task(watch())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def machine_cpu_seconds() -> float:
    """CPU seconds of the whole machine so far."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))


def _tree(pid: int, children: bool) -> list[psutil.Process]:
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)] if children else [root]


def _cpu_of(pid: int) -> float:
    total = 0.0
    own = pid == psutil.Process().pid
    for process in _tree(pid, children=not own):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
            if process.pid == pid and not own:
                total += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
    return total


def _memory_of(pid: int) -> int:
    """Resident memory; shared memory (Postgres' buffers) is counted once where the system reports it."""
    alone, shared = 0, 0
    for process in _tree(pid, children=pid != psutil.Process().pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            memory = process.memory_info()
            common = int(getattr(memory, "shared", 0))
            alone += memory.rss - common
            shared = max(shared, common)
    return alone + shared
