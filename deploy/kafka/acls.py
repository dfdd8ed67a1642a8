"""Who may do what on Kafka, by principal: printed for `kafka-acls.sh`, or set on a broker with `--apply`.

A principal is the SASL name of a client, or what the broker makes of its certificate. The rights are no list of their
own that somebody must keep: a service may do what its wiring does (read the topics that it subscribes to, in the groups
that it joins, and write those of the events that it gives), a partner what the direction of its topics says. Only what
partners and ops read of what is between the services is decided here.

Read and Write, and nothing else. Each of them brings Describe along, and since Kafka 3.0 whoever may write a topic may
do so with an idempotent producer (KIP-679); an older broker wants IdempotentWrite on the cluster besides. Nobody may
make, empty or delete a topic: `topics_admin`, `erase --drop-read`, `prove_erased` and this command are for one of the
broker's `super.users`. A broker asks all this only with an authorizer and `allow.everyone.if.no.acl.found=false`.

`--apply` takes away what these principals may do besides, under this prefix, so two shops on one broker have a prefix
each, neither of which begins with the other; refusals (Deny) stay as they are. aiokafka speaks the requests about
rights but has no method for them yet, so its client sends them as they are.
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

from deploy.api.api_docs import PARTNERS, example_app
from libs.common.config.kafka_security import KafkaSecurity
from libs.common.config.settings import load
from libs.common.events.topics import CUSTOMERS, PRODUCT_ALERTS, SERVICES, TOPICS, Direction, dead_letter_topic


class AclOperation(IntEnum):
    """As Kafka numbers them; likewise the next two."""

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
"""A right as Kafka keeps it: resource, name, pattern, principal, host, operation, allow or deny."""


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
PRINCIPALS = (*SERVICES, *map(principal_of, PARTNERS.values()), OPS)

EXTRA_READS = {
    "storefront": [topic.name for topic in TOPICS if topic.direction is Direction.INTERNAL],
    "warehouse": [PRODUCT_ALERTS.name, CUSTOMERS.name],
    "courier": [CUSTOMERS.name],
    OPS: [CUSTOMERS.name, *map(dead_letter_topic, SERVICES)],
}
"""The storefront is the shop itself; who holds addresses hears who wants to be forgotten; the warehouse holds lots."""

EXTRA_WRITES = {OPS: [CUSTOMERS.name]}
"""Ops ask for erasures (`libs.common.privacy.erase_cli`)."""


def rights(prefix: str = "") -> list[AclRight]:
    """Everything that anybody may do with topics under this prefix, in order."""
    of_services = (right for name in SERVICES for right in _of_service(name, prefix))
    return sorted({*of_services, *_of_others(prefix)})


def _of_service(name: str, prefix: str) -> Iterator[AclRight]:
    service = example_app(name, kafka_topic_prefix=prefix).state.service
    for subscriber in service.broker().subscribers:
        yield from _on_topics(name, AclOperation.READ, subscriber.topic_names)
        yield AclRight(name, AclOperation.READ, ResourceType.GROUP, PatternType.LITERAL, subscriber.group_id)
    topics = {payload.TOPIC.name for payload in service.publishes} | {dead_letter_topic(name)}
    yield from _on_topics(name, AclOperation.WRITE, (prefix + topic for topic in topics))


def _of_others(prefix: str) -> Iterator[AclRight]:
    for name in PRINCIPALS[len(SERVICES) :]:
        yield AclRight(name, AclOperation.READ, ResourceType.GROUP, PatternType.PREFIXED, f"{prefix}{name}.")
        yield from _on_topics(name, AclOperation.READ, (prefix + topic for topic in EXTRA_READS.get(name, ())))
        yield from _on_topics(name, AclOperation.WRITE, (prefix + topic for topic in EXTRA_WRITES.get(name, ())))
    for topic in TOPICS:
        if topic.direction is not Direction.INTERNAL:
            operation = AclOperation.WRITE if topic.direction is Direction.IN else AclOperation.READ
            partner = PARTNERS[topic.name.partition(".")[0]]
            yield from _on_topics(principal_of(partner), operation, [prefix + topic.name])


def _on_topics(principal: str, operation: AclOperation, names: Iterable[str]) -> Iterator[AclRight]:
    return (AclRight(principal, operation, ResourceType.TOPIC, PatternType.LITERAL, name) for name in names)


def shell_commands(entries: Iterable[AclRight], servers: str) -> Iterator[str]:
    """The same as lines for a shell; one call of the tool for all topics, or groups, that are alike."""

    def kind(right: AclRight) -> tuple[str, AclOperation, ResourceType, PatternType]:
        return right.principal, right.operation, right.resource, right.pattern

    for (principal, operation, resource, pattern), alike in groupby(sorted(entries), key=kind):
        broker = ["--bootstrap-server", servers, "--command-config", "admin.properties"]
        who = ["--add", "--allow-principal", f"User:{principal}", "--operation", operation.name.capitalize()]
        what = [argument for right in alike for argument in (f"--{resource.name.lower()}", right.name)]
        shape = ["--resource-pattern-type", "prefixed"] if pattern is PatternType.PREFIXED else []
        yield shlex.join(["kafka-acls.sh", *broker, *who, *shape, *what])


class AclError(Exception):
    """The broker did not do it; the message says what, and why."""


async def apply(
    servers: str, prefix: str, security: KafkaSecurity | None = None
) -> tuple[set[AclEntry], set[AclEntry]]:
    """Bring the broker to exactly these rights; gives what was added and what was taken away. Raises `RefusedError`."""
    client = AIOKafkaClient(bootstrap_servers=servers, **(security.kafka_client_options if security else {}))
    await client.bootstrap()
    try:
        expected, current = {right.entry for right in rights(prefix)}, await _current_entries(client, prefix)
        for entry in sorted(
            expected - current
        ):  # before anything is taken away, so that nobody is without for a moment
            answer = await client.send(client.get_random_node(), CreateAclsRequest(*entry))
            _check(entry, *answer.creation_responses[0])
        for entry in sorted(current - expected):
            answer = await client.send(client.get_random_node(), DeleteAclsRequest(*entry))
            _check(entry, *answer.filter_responses[0][:2])
        return expected - current, current - expected
    finally:
        await client.close()


async def _current_entries(client: AIOKafkaClient, prefix: str) -> set[AclEntry]:
    """What our principals are allowed now, of whatever name begins with the prefix."""
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
    """In words where it is one of those that are given here."""
    return next((member.name.lower() for member in kind if member == number), f"{kind.__name__.lower()} {number}")


def main(
    servers: Annotated[str, typer.Option("--bootstrap-servers", envvar="KAFKA_BOOTSTRAP_SERVERS")],
    prefix: Annotated[str, typer.Option(envvar="KAFKA_TOPIC_PREFIX")] = "",
    apply_: Annotated[bool, typer.Option("--apply", help="Set them on the broker instead.")] = False,
) -> None:
    """Print the rights of every principal. KAFKA_SECURITY_PROTOCOL and so on say how to reach a secured broker."""
    if not apply_:
        typer.echo("\n".join(shell_commands(rights(prefix), servers)))
        return
    added, removed = asyncio.run(apply(servers, prefix, load(KafkaSecurity)))
    for sign, entries in (("+", added), ("-", removed)):
        for entry in sorted(entries):
            typer.echo(f"{sign} {_describe(entry)}")
    typer.echo(f"{len(added)} added, {len(removed)} taken away")


if __name__ == "__main__":
    typer.run(main)
