"""Kafka ACLs by principal: printed for `kafka-acls.sh`, or set on a broker with `--apply`.

A principal is the SASL name of a client, or derived by the broker from its certificate. The rights are derived from the
code: a service reads the topics of its subscriptions, in its consumer group, and writes those of its publications; a
partner's rights follow from the direction of its topics. What partners and ops read of internal topics is
listed in `libs.common.events.partner_rights`.

Rights are Read and Write only. Both include Describe, and since Kafka 3.0 Write includes idempotent producers
(KIP-679); an older broker needs IdempotentWrite on the cluster too. No principal may create, empty or delete a topic:
`create_topics`, `erase_cli --drop-read`, `verify_erasure` and this command need one of the broker's `super.users`. A
broker enforces this only with an authorizer and `allow.everyone.if.no.acl.found=false`.

`--apply` removes other rights of these principals under this prefix, so two shops on one broker need prefixes of which
neither begins with the other; Deny entries stay. aiokafka implements the ACL requests without a method for them, so
they are sent through its client.
"""

import asyncio
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from itertools import groupby
from typing import Annotated, Any

import typer
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import for_code
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest

from deploy.api.api_docs import example_app
from libs.common.config.kafka_security import KafkaSecurity
from libs.common.config.settings import load
from libs.common.events.partner_rights import INTERNAL_READS
from libs.common.events.sources import PARTNERS
from libs.common.events.topics import (
    ALL_SERVICES,
    CUSTOMERS,
    REJECTED,
    TOPICS,
    Direction,
    Topic,
    dead_letter_topic,
)


class AclOperation(IntEnum):
    """Operations by Kafka's numbers, as in the next two classes."""

    READ = 3
    WRITE = 4


class ResourceType(IntEnum):
    TOPIC = 2
    GROUP = 3


class PatternType(IntEnum):
    LITERAL = 3
    PREFIXED = 4


_ANY, _ALLOW, _EVERY_HOST = 1, 3, "*"

AclEntry = tuple[int, str, int, str, str, int, int]
"""An ACL as Kafka stores it: resource, name, pattern, principal, host, operation, permission."""


@dataclass(frozen=True, slots=True, order=True)
class AclRight:
    principal: str
    operation: AclOperation
    resource: ResourceType
    pattern: PatternType
    name: str

    @property
    def entry(self) -> AclEntry:
        user = f"User:{self.principal}"
        return self.resource, self.name, self.pattern, user, _EVERY_HOST, self.operation, _ALLOW


def principal_of(partner: str) -> str:
    return partner.replace(" ", "_")


OPS = "ops"
PRINCIPALS = (*ALL_SERVICES, *map(principal_of, PARTNERS.values()), OPS)

_INTERNAL = {str(role): [topic.name for topic in topics] for role, topics in INTERNAL_READS.items()}
EXTRA_READS = {**_INTERNAL, OPS: [*_INTERNAL[OPS], *map(dead_letter_topic, ALL_SERVICES)]}
"""Internal topics that a partner of each role reads; ops also read dead letters."""

EXTRA_WRITES = {OPS: [CUSTOMERS.name]}
"""Ops publish erasure requests (`libs.common.privacy.erase_cli`)."""


def rights(prefix: str = "") -> list[AclRight]:
    """All rights on topics under this prefix, sorted."""
    of_services = (right for name in ALL_SERVICES for right in _of_service(name, prefix))
    return sorted({*of_services, *_of_others(prefix)})


def _of_service(name: str, prefix: str) -> Iterator[AclRight]:
    service = example_app(name, kafka_topic_prefix=prefix).state.service
    for subscriber in service.broker().subscribers:
        yield from _on_topics(name, AclOperation.READ, subscriber.topic_names)
        yield AclRight(name, AclOperation.READ, ResourceType.GROUP, PatternType.LITERAL, subscriber.group_id)
    topics = {payload.TOPIC.name for payload in service.publishes} | {dead_letter_topic(name)}
    yield from _on_topics(name, AclOperation.WRITE, (prefix + topic for topic in topics))


def _of_others(prefix: str) -> Iterator[AclRight]:
    for name in PRINCIPALS[len(ALL_SERVICES) :]:
        yield AclRight(name, AclOperation.READ, ResourceType.GROUP, PatternType.PREFIXED, f"{prefix}{name}.")
        yield from _on_topics(name, AclOperation.READ, (prefix + topic for topic in EXTRA_READS.get(name, ())))
        yield from _on_topics(name, AclOperation.WRITE, (prefix + topic for topic in EXTRA_WRITES.get(name, ())))
    for topic in TOPICS:
        if topic.direction is not Direction.INTERNAL:
            operation = AclOperation.WRITE if topic.direction is Direction.IN else AclOperation.READ
            for partner in _partners_of(topic):
                yield from _on_topics(principal_of(partner), operation, [prefix + topic.name])


def _partners_of(topic: Topic) -> Iterable[str]:
    """The partner of the topic's name; all of them for answers to refused events, which name only ids and fields."""
    return PARTNERS.values() if topic == REJECTED else [PARTNERS[topic.name.partition(".")[0]]]


def _on_topics(principal: str, operation: AclOperation, names: Iterable[str]) -> Iterator[AclRight]:
    return (AclRight(principal, operation, ResourceType.TOPIC, PatternType.LITERAL, name) for name in names)


def shell_commands(entries: Iterable[AclRight], servers: str) -> Iterator[str]:
    """The same as shell lines; one call of the tool for all topics, or groups, with equal rights."""

    def kind(right: AclRight) -> tuple[str, AclOperation, ResourceType, PatternType]:
        return right.principal, right.operation, right.resource, right.pattern

    for (principal, operation, resource, pattern), alike in groupby(sorted(entries), key=kind):
        broker = ["--bootstrap-server", servers, "--command-config", "admin.properties"]
        who = ["--add", "--allow-principal", f"User:{principal}", "--operation", operation.name.capitalize()]
        what = [argument for right in alike for argument in (f"--{resource.name.lower()}", right.name)]
        shape = ["--resource-pattern-type", "prefixed"] if pattern is PatternType.PREFIXED else []
        yield shlex.join(["kafka-acls.sh", *broker, *who, *shape, *what])


class AclError(Exception):
    """The broker refused a request; the message contains the entry and the reason."""


async def apply(
    servers: str, prefix: str, security: KafkaSecurity | None = None
) -> tuple[set[AclEntry], set[AclEntry]]:
    """Set exactly these rights; returns the added and the removed entries. Raises `AclError`."""
    client = AIOKafkaClient(bootstrap_servers=servers, **(security.kafka_client_options if security else {}))
    await client.bootstrap()
    try:
        expected, current = {right.entry for right in rights(prefix)}, await _current_entries(client, prefix)
        for entry in sorted(expected - current):  # before any removal, so that no principal lacks a right in between
            answer = await client.send(client.get_random_node(), CreateAclsRequest(*entry))
            _check(entry, *answer.creation_responses[0])
        for entry in sorted(current - expected):
            answer = await client.send(client.get_random_node(), DeleteAclsRequest(*entry))
            _check(entry, *answer.filter_responses[0][:2])
        return expected - current, current - expected
    finally:
        await client.close()


async def _current_entries(client: AIOKafkaClient, prefix: str) -> set[AclEntry]:
    """The present Allow entries of our principals for names under the prefix."""
    found: set[AclEntry] = set()
    for principal in PRINCIPALS:
        request: Any = (_ANY, None, _ANY, f"User:{principal}", None, _ANY, _ALLOW)
        answer = await client.send(client.get_random_node(), DescribeAclsRequest(*request))
        _check(request, answer.error_code, answer.error_message)
        found |= {
            (resource, name, pattern, *rest)
            for resource, name, pattern, entries in answer.resources
            for rest in entries
            if name.startswith(prefix)
        }
    return found


def _check(entry: AclEntry, code: int, message: str | None) -> None:
    if code:
        raise AclError(f"{_describe(entry)}: {for_code(code).__name__} ({message})")


def _describe(entry: AclEntry) -> str:
    resource, name, _, principal, _, operation, _ = entry
    return f"{principal} {_name(AclOperation, operation)} {_name(ResourceType, resource)} {name or '(any)'}"


def _name(kind: type[AclOperation | ResourceType], number: int) -> str:
    """The member's name, or the number of one that is not used here."""
    return next((member.name.lower() for member in kind if member == number), f"{kind.__name__.lower()} {number}")


def main(
    servers: Annotated[str, typer.Option("--bootstrap-servers", envvar="KAFKA_BOOTSTRAP_SERVERS")],
    prefix: Annotated[str, typer.Option(envvar="KAFKA_TOPIC_PREFIX")] = "",
    apply_: Annotated[bool, typer.Option("--apply", help="Set them on the broker instead.")] = False,
) -> None:
    """Print the rights of every principal. KAFKA_SECURITY_PROTOCOL and related settings configure a secured broker."""
    if not apply_:
        typer.echo("\n".join(shell_commands(rights(prefix), servers)))
        return
    added, removed = asyncio.run(apply(servers, prefix, load(KafkaSecurity)))
    for sign, entries in (("+", added), ("-", removed)):
        for entry in sorted(entries):
            typer.echo(f"{sign} {_describe(entry)}")
    typer.echo(f"{len(added)} added, {len(removed)} removed")


if __name__ == "__main__":
    typer.run(main)
