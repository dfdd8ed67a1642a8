"""Kafka settings of the contract's topics: retention, partitions, replication.

Kafka deletes whole segments, and never the newest. On topics with personal data a segment is therefore closed after a
day; a quiet topic would otherwise keep its records until the next one arrives.
"""

from aiokafka.admin import NewTopic

from libs.common.events.topics import ALL_SERVICES, PERSONAL_RETENTION_DAYS, TOPICS, dead_letter_topic

DAY_MS = 86_400_000


def topic_config(days: int, personal: bool) -> dict[str, str]:
    """Return the topic settings that decide how long a record is kept."""
    segments = {"segment.ms": str(DAY_MS)} if personal else {}
    return {"cleanup.policy": "delete", "retention.ms": str(days * DAY_MS), **segments}


def retention() -> dict[str, dict[str, str]]:
    """Return retention settings by topic.

    Dead letters are copies of records of any topic, so they expire as personal data does. Replay reads the service's
    database, not the topic.
    """
    settings = {topic.name: topic_config(topic.retention_days, topic.personal) for topic in TOPICS}
    of_dead_letters = topic_config(PERSONAL_RETENTION_DAYS, True)
    return settings | {dead_letter_topic(service): of_dead_letters for service in ALL_SERVICES}


def new_topics(prefix: str, replication: int, partitions: int) -> list[NewTopic]:
    """Return every topic as it is to be created. With three replicas, `acks=all` requires two of them."""
    shared = {topic.name for topic in TOPICS}
    in_sync = {"min.insync.replicas": str(2 if replication >= 3 else 1)}
    return [
        NewTopic(prefix + name, partitions if name in shared else 1, replication, topic_configs={**settings, **in_sync})
        for name, settings in retention().items()
    ]
