"""Counts that a running sample service shows."""

from tests.running import Live


def shares(*lives: Live) -> list[int]:
    """Return how many partitions each has."""
    found = [live.service.kafka.health for live in lives]
    return [len(health.consumer.assignment()) if health and health.consumer else 0 for health in found]


def counted(live: Live, name: str, reason: str) -> int:
    return live.service.counters.values[name, reason]
