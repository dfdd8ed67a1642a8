"""`sakidashi verify promises`: what became of every date that a customer was given, and of how many first dates were
kept, from the topics alone."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import httpx
import typer

from deploy.verification.auditor import read_topics, truncated_topics
from deploy.verification.evidence import History
from deploy.verification.promise_accuracy import AccuracyOfGroup, measure_accuracy
from deploy.verification.promise_integrity import JudgedPromise, Outcome, count_by_day, judge_promises
from libs.common.config.kafka_security import KafkaSecurity
from libs.common.config.settings import load

TOPICS = ("storefront.orders", "warehouse.orders", "warehouse.events", "issues", "notices")
BROKEN, NOT_STORED = 1, 2
"""Exit codes: a promise broke in silence; the figures could not be stored."""


def main(
    bootstrap_servers: Annotated[str, typer.Option(envvar="KAFKA_BOOTSTRAP_SERVERS")],
    prefix: Annotated[str, typer.Option(envvar="KAFKA_TOPIC_PREFIX")] = "",
    zone: Annotated[str, typer.Option(envvar="SHOP_TIME_ZONE")] = "Asia/Tokyo",
    store_at: Annotated[str, typer.Option(help="Address of delivery_notify, to store the figures there.")] = "",
    ops_key: Annotated[str, typer.Option(envvar="OPS_KEY", help="Its API key of ops, for --store-at.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Count promises per day: kept, announced before they broke, broken in silence, released, open; then the share of
    first dates kept per warehouse, carrier and product group, with its 95 % interval.

    Per day counts every date that a customer was given: at checkout, in notices, by choice, and by the shop itself for
    added lines and with shipments. Of those, the share counts the first one of each line, parcel and replacement, as
    GET /v1/promises/accuracy does, and neither released nor open ones.

    Exit code 1: a promise broke in silence. 2: the figures could not be stored. Topics are only read.
    """
    kafka = load(KafkaSecurity).kafka_client_options
    facts = asyncio.run(read_topics(bootstrap_servers, prefix, TOPICS, kafka))
    history = History(facts, ZoneInfo(zone), datetime.now(UTC))
    for topic in truncated_topics(history):
        typer.echo(f"warning: {topic} begins after offset 0; older promises are incomplete", err=True)
    judged = judge_promises(history)
    days = count_by_day(judged)
    accuracy = measure_accuracy(history)
    if as_json:
        document = {"days": _document(days), "accuracy": [_group(each) for each in accuracy]}
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        typer.echo("Every date that a customer was given, by its day")
        typer.echo(_table(_day_rows(days)))
        typer.echo("\nThe first date of each line, parcel and replacement, without released and open ones")
        typer.echo(_table(_accuracy_rows(accuracy)))
    for each in judged:
        if each.outcome is Outcome.SILENT:
            typer.echo(_line(each), err=True)
    if store_at:
        _store(store_at, ops_key, days, history.now)
    raise typer.Exit(BROKEN if any(each.outcome is Outcome.SILENT for each in judged) else 0)


def _document(days: Mapping[date, Mapping[Outcome, int]]) -> list[dict[str, object]]:
    return [
        {"day": day.isoformat(), "made": sum(counts.values()), **{each.value: counts[each] for each in Outcome}}
        for day, counts in sorted(days.items())
    ]


def _group(group: AccuracyOfGroup) -> dict[str, object]:
    kept = group.kept
    return {
        "by": group.dimension,
        "subject": group.kind,
        "name": group.name,
        "kept": kept.part,
        "missed": kept.whole - kept.part,
        "share": kept.share,
        "low": kept.low,
        "high": kept.high,
    }


def _accuracy_rows(groups: Sequence[AccuracyOfGroup]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("first dates by", "of", "name", "kept", "missed", "share", "95 % interval")]
    for each in groups:
        kept = each.kept
        interval = f"{kept.low:.1%} to {kept.high:.1%}"
        counts = (str(kept.part), str(kept.whole - kept.part), f"{kept.share or 0:.1%}")
        rows.append((each.dimension, each.kind, each.name, *counts, interval))
    return rows


def _day_rows(days: Mapping[date, Mapping[Outcome, int]]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("day", "made", *Outcome)]
    rows += [
        (day.isoformat(), str(sum(counts.values())), *(str(counts[each]) for each in Outcome))
        for day, counts in sorted(days.items())
    ]
    total = {each: sum(counts[each] for counts in days.values()) for each in Outcome}
    rows.append(("total", str(sum(total.values())), *(str(total[each]) for each in Outcome)))
    return rows


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def _line(promise: JudgedPromise) -> str:
    order, kind, subject = promise.given.subject
    return f"broken in silence: order {order} {kind} {subject} {promise.day}, given by {promise.given.source}"


def _store(url: str, key: str, days: Mapping[date, Mapping[Outcome, int]], audited_at: datetime) -> None:
    body = {"audited_at": audited_at.isoformat(), "days": _document(days)}
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": f"promises {audited_at.isoformat()}"}
    try:
        httpx.put(f"{url.rstrip('/')}/v1/promises/integrity", json=body, headers=headers).raise_for_status()
    except httpx.HTTPError as error:
        typer.echo(f"could not store the figures: {type(error).__name__}: {error}", err=True)
        raise typer.Exit(NOT_STORED) from None
