"""Faults of the servers beside Kafka's and Postgres' processes: refusals, delays, slow syncs, added partitions."""

import asyncio
from collections import Counter
from contextlib import suppress

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.errors import KafkaError

from tests.faults.http_peer import LATE, REFUSED, HttpPeer
from tests.faults.schedule import EVIDENCE, WEBHOOKS, InjectedFault
from tests.faults.system import FaultSystem

KAFKA_SECONDS = 10.0


def _peer(system: FaultSystem, name: str) -> HttpPeer:
    return {WEBHOOKS: system.infrastructure.webhooks, EVIDENCE: system.infrastructure.evidence}[name]


async def refuse(system: FaultSystem, fault: InjectedFault) -> None:
    """Let a server of others refuse every request for a while."""
    peer = _peer(system, fault.target)
    peer.refuse(True)
    await asyncio.sleep(fault.seconds)
    peer.refuse(False)


async def delay(system: FaultSystem, fault: InjectedFault) -> None:
    """Let a server of others answer late for a while."""
    peer = _peer(system, fault.target)
    peer.delay(float(fault.detail))
    await asyncio.sleep(fault.seconds)
    peer.delay(0)


def hits(system: FaultSystem) -> Counter[str]:
    """Number of requests that a refusal or a delay really met: a fault that met none is not counted."""
    return Counter(
        {f"{name} {kind}": _peer(system, name).hits[kind] for name in (WEBHOOKS, EVIDENCE) for kind in (REFUSED, LATE)}
    )


async def slow_fsync(system: FaultSystem, fault: InjectedFault) -> int:
    """Let every fsync of Postgres wait the milliseconds in `detail`, for a while; returns the number that waited."""
    slow = system.infrastructure.slow_fsync
    if slow is None:
        return 0
    before = slow.waited
    slow.wait(int(fault.detail) / 1000)
    await asyncio.sleep(fault.seconds)
    slow.wait(0)
    return slow.waited - before


async def add_partition(system: FaultSystem, topic: str) -> bool:
    """Add a partition to a topic of this system; returns whether Kafka did so."""
    return await add_partition_to(system.servers, system.prefix + topic)


async def add_partition_to(servers: str, name: str) -> bool:
    """Add a partition to a topic by its full name; returns whether Kafka did so."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    try:
        async with asyncio.timeout(KAFKA_SECONDS):
            await admin.start()
            [described] = await admin.describe_topics([name])
            answer = await admin.create_partitions({name: NewPartitions(len(described["partitions"]) + 1)})
            return [code for _, code, *_ in answer.topic_errors] == [0]
    except (KafkaError, OSError, TimeoutError, ValueError):
        return False
    finally:
        with suppress(Exception):  # the client may be in any state and is discarded
            await admin.close()
