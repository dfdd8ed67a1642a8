"""Executes a schedule of faults, and heals everything at the end."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import groupby

import asyncpg

from deploy.local.kafka import Broker
from deploy.local.managed_process import ManagedProcess, NotReadyError
from deploy.local.postgres import Postgres
from libs.common.events.topics import ALL_SERVICES
from tests.faults import server_faults
from tests.faults.disk import NoDiskError
from tests.faults.next_release import add_columns
from tests.faults.replica import Replica, limit_memory
from tests.faults.schedule import EVIDENCE, KAFKA, MAIL, WEBHOOKS, FaultKind, InjectedFault
from tests.faults.system import FaultSystem

STEP_SECONDS, START_SECONDS = 25.0, 60.0
"""The time for a started process to reach the step at which it dies, and the time to start."""

SLOW_DELAY = 0.15
MEGABYTE = 1024 * 1024


@dataclass
class Nemesis:
    """`injected` counts executed faults by kind; `skipped` has the reason by lane or kind."""

    system: FaultSystem
    log: Callable[[str], None] = lambda _: None
    injected: Counter[str] = field(default_factory=Counter)
    skipped: dict[str, str] = field(default_factory=dict)

    async def run(self, schedule: Sequence[InjectedFault], seconds: float) -> None:
        """Execute every lane in parallel, until `seconds` are over.

        A slow machine delays a lane: then all later faults of it are delayed too, so that services have the same time
        to recover. Faults that would start too late are skipped and reported.
        """
        begin = asyncio.get_running_loop().time()
        lanes = groupby(sorted(schedule, key=lambda fault: fault.lane), key=lambda fault: fault.lane)
        async with asyncio.TaskGroup() as tasks:
            for _, faults in lanes:
                tasks.create_task(self._lane(begin, seconds, sorted(faults, key=lambda fault: fault.at)))

    async def _lane(self, begin: float, seconds: float, faults: Sequence[InjectedFault]) -> None:
        late = 0.0
        for number, fault in enumerate(faults):
            await asyncio.sleep(max(0.0, begin + fault.at + late - asyncio.get_running_loop().time()))
            if fault.lane in self.system.replicas:
                await self._wait_until_listening(self._first(fault))
            late = asyncio.get_running_loop().time() - begin - fault.at
            if fault.at + late > seconds:
                left = Counter(str(each.kind) for each in faults[number:])
                self.skipped[fault.lane] = "too late for " + ", ".join(f"{n} {kind}" for kind, n in left.items())
                return
            after = f", {late:.1f} s late" if late > 1 else ""
            self.log(f"{fault.at:6.1f} s  {fault.kind} {fault.target} {fault.detail} ({fault.seconds} s{after})")
            await self._actions[fault.kind](fault)

    @property
    def _actions(self) -> dict[FaultKind, Callable[[InjectedFault], Awaitable[None]]]:
        return {
            FaultKind.KILL: self._kill,
            FaultKind.TERM: self._term,
            FaultKind.STEP: self._step,
            FaultKind.FREEZE: self._freeze,
            FaultKind.SCALE: self._scale,
            FaultKind.SKEW: self._skew,
            FaultKind.MEMORY: self._limit_memory,
            FaultKind.MIGRATE: self._migrate,
            FaultKind.CUT: self._link,
            FaultKind.SLOW: self._link,
            FaultKind.HALF_OPEN: self._link,
            FaultKind.PAUSE: self._pause,
            FaultKind.RESTART: self._restart_server,
            FaultKind.CRASH: self._restart_server,
            FaultKind.DISK_FULL: self._fill_disk,
            FaultKind.BUSY: self._refuse,
            FaultKind.LATE: self._delay,
            FaultKind.SLOW_FSYNC: self._slow_fsync,
            FaultKind.PARTITION: self._add_partition,
        }

    # --- services -----------------------------------------------------------------------------------------------

    async def _wait_until_listening(self, replica: Replica) -> None:
        """Wait for a started process, since killing one that has not begun tests little; give up after a while."""
        deadline = asyncio.get_running_loop().time() + START_SECONDS
        while replica.alive and not replica.is_listening() and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.2)

    def _first(self, fault: InjectedFault) -> Replica:
        return self.system.replicas[fault.target][0]

    async def _kill(self, fault: InjectedFault) -> None:
        replica = self._first(fault)
        await asyncio.to_thread(replica.process.kill)
        self.injected.update(kills=1, rebalances=1)
        await self._restart_later(replica, fault.seconds)

    async def _term(self, fault: InjectedFault) -> None:
        replica = self._first(fault)
        await asyncio.to_thread(replica.process.stop)
        self.injected.update(terms=1, restarts=1, rebalances=1)
        await self._restart_later(replica, fault.seconds)

    async def _restart_later(self, replica: Replica, seconds: float) -> None:
        await asyncio.sleep(seconds)
        replica.start()
        self.injected.update(rebalances=1)

    async def _step(self, fault: InjectedFault) -> None:
        """Restart it with a failpoint; it reaches the step as soon as it has work."""
        replica = self._first(fault)
        await asyncio.to_thread(replica.process.kill)
        replica.start(fault.detail)
        await self._wait_until_listening(replica)
        with suppress(TimeoutError):
            async with asyncio.timeout(STEP_SECONDS):
                while replica.alive:
                    await asyncio.sleep(0.05)
        died_there = replica.process.child.exit_code == 137
        step = fault.detail.partition(":")[0]
        self.injected.update({"kills": 2, "rebalances": 3, f"kill at {step}": int(died_there)})
        await asyncio.to_thread(replica.process.kill)
        await self._restart_later(replica, fault.seconds)

    async def _freeze(self, fault: InjectedFault) -> None:
        replica = self._first(fault)
        replica.process.child.pause()
        self.injected.update(freezes=1)
        await asyncio.sleep(fault.seconds)
        replica.process.child.resume()

    async def _scale(self, fault: InjectedFault) -> None:
        more = int(fault.detail) - len(self.system.replicas[fault.target])
        for _ in range(more):
            self.system.add_replica(fault.target)
        await asyncio.sleep(fault.seconds)
        for _ in range(more):
            await asyncio.to_thread(self.system.remove_replica, fault.target)
        self.injected.update(scalings=1, rebalances=2 * more)

    async def _skew(self, fault: InjectedFault) -> None:
        replica = self._first(fault)
        replica.skew = timedelta(minutes=int(fault.detail))
        replica.set_time(self.system.clock.now(), self.system.speed)
        self.injected.update(skews=1)
        await asyncio.sleep(fault.seconds)
        replica.skew = timedelta(0)
        replica.set_time(self.system.clock.now(), self.system.speed)

    async def _limit_memory(self, fault: InjectedFault) -> None:
        """Let allocations fail for a while, then kill it, as the kernel does under the limit of a container."""
        replica = self._first(fault)
        if not replica.alive:
            return
        limit_memory(replica.process.pid, int(fault.detail) * MEGABYTE)
        self.injected.update(memory_limits=1)
        await asyncio.sleep(fault.seconds)
        await asyncio.to_thread(replica.process.kill)
        self.injected.update(kills=1, rebalances=2)
        replica.start()

    async def _migrate(self, fault: InjectedFault) -> None:
        number = self.injected["migrations"]
        try:
            await add_columns(self.system.owners[fault.target], f"of_next_release_{number}")
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:  # Postgres has faults of its own
            self.log(f"        not migrated: {type(error).__name__}")
        else:
            self.injected.update(migrations=1)

    # --- links --------------------------------------------------------------------------------------------------

    async def _link(self, fault: InjectedFault) -> None:
        proxy = self.system.link(fault.target, fault.detail)
        match fault.kind:
            case FaultKind.CUT:
                proxy.cut()
                self.injected.update(cuts=1)
            case FaultKind.SLOW:
                proxy.slow(SLOW_DELAY)
                self.injected.update(slow_links=1)
            case _:
                proxy.half_open()
                self.injected.update(half_open_links=1)
        await asyncio.sleep(fault.seconds)
        proxy.heal()

    # --- servers ------------------------------------------------------------------------------------------------

    def _server(self, fault: InjectedFault) -> Broker | Postgres | ManagedProcess:
        infrastructure = self.system.infrastructure
        servers: dict[str, Broker | Postgres | ManagedProcess] = {
            KAFKA: infrastructure.broker,
            MAIL: infrastructure.mail.process,
            WEBHOOKS: infrastructure.webhooks.process,
            EVIDENCE: infrastructure.evidence.process,
        }
        return servers.get(fault.target, infrastructure.postgres)

    async def _pause(self, fault: InjectedFault) -> None:
        server = self._server(fault)
        server.pause()
        self.injected.update({f"{fault.target}_pauses": 1})
        await asyncio.sleep(fault.seconds)
        server.resume()

    async def _restart_server(self, fault: InjectedFault) -> None:
        server = self._server(fault)
        await asyncio.to_thread(server.kill if fault.kind is FaultKind.CRASH else server.stop)
        self.injected.update(
            {"restarts": 1, f"{fault.target}_{'crashes' if fault.kind is FaultKind.CRASH else 'restarts'}": 1}
        )
        await asyncio.sleep(fault.seconds)
        await asyncio.to_thread(server.start)

    async def _refuse(self, fault: InjectedFault) -> None:
        if fault.target == MAIL:
            await self._refuse_mails(fault)
        else:
            await server_faults.refuse(self.system, fault)
            self._count_hits()

    async def _delay(self, fault: InjectedFault) -> None:
        await server_faults.delay(self.system, fault)
        self._count_hits()

    def _count_hits(self) -> None:
        self.injected |= server_faults.hits(self.system)

    async def _slow_fsync(self, fault: InjectedFault) -> None:
        self.injected.update(slow_fsyncs=await server_faults.slow_fsync(self.system, fault))

    async def _add_partition(self, fault: InjectedFault) -> None:
        if await server_faults.add_partition(self.system, fault.detail):
            self.injected.update(partitions_added=1)
        else:
            self.log(f"        no partition added to {fault.detail}: Kafka has another fault")

    async def _refuse_mails(self, fault: InjectedFault) -> None:
        mail = self.system.infrastructure.mail
        mail.refuse(True)
        self.injected.update(mails_refused=1)
        await asyncio.sleep(fault.seconds)
        mail.refuse(False)

    async def _fill_disk(self, fault: InjectedFault) -> None:
        """Filled repeatedly, since Postgres frees space when it recycles its log."""
        disk = self.system.infrastructure.disk
        try:
            await asyncio.to_thread(disk.fill)
        except NoDiskError as error:
            self.skipped["disk_full"] = str(error)
            return
        self.injected.update(disk_full=1)
        for _ in range(max(1, int(fault.seconds / 0.5))):
            await asyncio.sleep(0.5)
            await asyncio.to_thread(disk.fill)
        disk.free()
        await self._revive_postgres()

    async def _revive_postgres(self) -> None:
        """Restart a server that ended because it could not write its log, also during recovery."""
        server = self.system.infrastructure.postgres
        for _ in range(10):
            if server.process and not server.process.alive:
                self.injected.update(postgres_ended_by_full_disk=1)
                await asyncio.to_thread(_try_start, server.start)
            await asyncio.sleep(0.3)

    # --- end ----------------------------------------------------------------------------------------------------

    async def heal(self) -> None:
        """Heal links, free the disk, and start the servers and the first replica of each service."""
        self.system.infrastructure.disk.free()
        mail = self.system.infrastructure.mail
        mail.refuse(False)
        mail.process.resume()
        if not mail.process.alive:
            mail.process.start()
        for peer in (self.system.infrastructure.webhooks, self.system.infrastructure.evidence):
            peer.heal()
        self._count_hits()
        if self.system.infrastructure.slow_fsync:
            self.system.infrastructure.slow_fsync.wait(0)
        for proxy in self.system.infrastructure.links.values():
            proxy.heal()
        for server in (self.system.infrastructure.broker, self.system.infrastructure.postgres):
            server.resume()
            if server.process and not server.process.alive:
                await asyncio.to_thread(server.start)
        for service in ALL_SERVICES:
            while len(self.system.replicas.get(service, ())) > 1:
                await asyncio.to_thread(self.system.remove_replica, service)
            for replica in self.system.replicas.get(service, ()):
                replica.process.child.resume()
                replica.skew = timedelta(0)
                if not replica.alive:
                    replica.start()
        self.system.set_time(self.system.clock.now(), 1)


def _try_start(start: Callable[[], None]) -> None:
    try:
        start()
    except NotReadyError:
        return
