"""CPU and memory by process, with all children: Postgres has one for each connection."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

import psutil

SAMPLE_SECONDS = 0.5


@dataclass
class ResourceUsage:
    """Watches process trees by name. `peak_mb` is the most memory that each was seen with."""

    pids: Mapping[str, int]
    peak_mb: dict[str, float] = field(default_factory=dict)

    def cpu_seconds(self) -> dict[str, float]:
        """CPU so far, user and system, of each tree; of ended children too, once their parent has noted their end."""
        return {name: _cpu_of(pid) for name, pid in self.pids.items()}

    def sample_memory(self) -> None:
        """Note how much memory each has now."""
        for name, pid in self.pids.items():
            self.peak_mb[name] = max(self.peak_mb.get(name, 0.0), _memory_of(pid) / 2**20)

    @contextlib.asynccontextmanager
    async def sampling(self) -> AsyncIterator["ResourceUsage"]:
        """Looks at the memory again and again until the block is left."""

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
    """CPU that the whole machine has spent so far, whoever asked for it."""
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
    """Resident memory; what a tree shares (Postgres' buffers) is counted once where the system tells it."""
    alone, shared = 0, 0
    for process in _tree(pid, children=pid != psutil.Process().pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            memory = process.memory_info()
            common = int(getattr(memory, "shared", 0))
            alone += memory.rss - common
            shared = max(shared, common)
    return alone + shared
