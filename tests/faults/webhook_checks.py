"""Checks of the way over HTTP: webhooks that are lost or out of order, and taken events that were not published."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

from deploy.verification.evidence import Fact, History
from deploy.verification.verdict import Violation, violation
from tests.faults.webhook_receiver import Identity


def webhooks_delivered(
    history: History, subscribed: Mapping[str, Sequence[str]], arrived: Mapping[str, Sequence[Identity]]
) -> Iterator[Violation]:
    """Every event of its types reached each subscription, those of one key and topic in their order."""
    for partner, types in subscribed.items():
        if partner not in arrived:
            continue
        places = {identity: place for place, identity in reversed(list(enumerate(arrived[partner])))}
        before: dict[tuple[str, int, str], Fact] = {}
        for fact in history.unique_facts:
            if fact.body.get("type") not in types:
                continue
            if fact.identity not in places:
                yield violation(f"{partner}: no webhook of {fact.type}", fact)
                continue
            earlier = before.setdefault((fact.topic, fact.partition, fact.key), fact)
            if places[earlier.identity] > places[fact.identity]:
                yield violation(f"{partner}: webhooks of key {fact.key} out of order", earlier, fact)
            before[fact.topic, fact.partition, fact.key] = fact


def taken_events_published(history: History, taken: Collection[Identity]) -> Iterator[Violation]:
    """Every event that was answered 202 is on its topic, in one place of its outbox alone."""
    found: defaultdict[Identity, int] = defaultdict(int)
    for fact in history.unique_facts:
        found[fact.identity] += 1
    for source, id_ in sorted(taken):
        if (count := found[source, id_]) != 1:
            yield violation(f"event {id_} of {source} was taken and is on {count} topics")
