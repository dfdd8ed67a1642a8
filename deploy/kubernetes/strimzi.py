"""Strimzi resources of the contract: a KafkaTopic per topic, and a KafkaUser per principal with its access rights.

Both are generated: topics from `libs.common.messaging.topic_settings`, rights from `deploy.kafka.acls`. Kubernetes
allows no underscore in a name, and Strimzi makes the name of a KafkaUser its principal: the principal of
delivery_notify is `delivery-notify`. Names of topics and consumer groups are unchanged.
"""

from itertools import groupby
from typing import Any

from deploy.kafka.acls import AclRight, PatternType, rights
from libs.common.messaging.create_topics import PARTITIONS
from libs.common.messaging.topic_settings import new_topics

API_VERSION = "kafka.strimzi.io/v1"
CLUSTER = "sakidashi-kafka"
REPLICATION = 3
_PATTERNS = {PatternType.LITERAL: "literal", PatternType.PREFIXED: "prefix"}

Resource = dict[str, Any]


def topics() -> list[Resource]:
    """Return a KafkaTopic for every topic of the contract, dead letters included."""
    return [
        {
            **_head("KafkaTopic", topic.name),
            "spec": {
                "topicName": topic.name,
                "partitions": topic.num_partitions,
                "replicas": topic.replication_factor,
                "config": {key: int(value) if value.isdigit() else value for key, value in topic.topic_configs.items()},
            },
        }
        for topic in new_topics("", REPLICATION, PARTITIONS)
    ]


def users() -> list[Resource]:
    """Return a KafkaUser for every principal, with its rights and a password that Strimzi creates."""
    return [
        {
            **_head("KafkaUser", principal),
            "spec": {
                "authentication": {"type": "scram-sha-512"},
                "authorization": {"type": "simple", "acls": [_acl(right) for right in entries]},
            },
        }
        for principal, entries in groupby(rights(), key=lambda right: right.principal)
    ]


def resource_name(name: str) -> str:
    """Return the name of a resource for a topic or principal."""
    return name.replace("_", "-")


def _head(kind: str, name: str) -> Resource:
    metadata = {"name": resource_name(name), "labels": {"strimzi.io/cluster": CLUSTER}}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata}


def _acl(right: AclRight) -> Resource:
    resource = {"type": right.resource.name.lower(), "name": right.name, "patternType": _PATTERNS[right.pattern]}
    return {"resource": resource, "operations": [right.operation.name.capitalize()]}
