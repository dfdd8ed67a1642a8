"""Audits a running or stopped system: `python -m deploy.verification`.

    DATABASE_URLS="postgresql://.../intake postgresql://.../returns ..." KAFKA_BOOTSTRAP_SERVERS=... \
        python -m deploy.verification --logs /var/log/sakidashi

Databases and topics are only read: the roles of the services are enough for the databases, and for Kafka any principal
with Read on every topic. A check compares whole lifecycles: where a topic has lost records to retention, violations of
older issues and orders are artefacts, and the command warns about it.
"""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from deploy.database_urls import databases
from deploy.verification.auditor import audit, read_history, truncated_topics
from deploy.verification.verdict import Verdict
from libs.common.config.kafka_security import KafkaSecurity
from libs.common.config.settings import load


def main(
    database_urls: Annotated[str, typer.Option(envvar="DATABASE_URLS", help="Separated by blanks.")],
    bootstrap_servers: Annotated[str, typer.Option(envvar="KAFKA_BOOTSTRAP_SERVERS")],
    prefix: Annotated[str, typer.Option(envvar="KAFKA_TOPIC_PREFIX")] = "",
    zone: Annotated[str, typer.Option(envvar="SHOP_TIME_ZONE")] = "Asia/Tokyo",
    logs: Annotated[Path | None, typer.Option(help="Folder of *.log files to search.", exists=True)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdicts as JSON.")] = False,
) -> None:
    """Check every invariant; the exit code is 1 where one is violated."""
    urls = databases(database_urls)
    kafka = load(KafkaSecurity).kafka_client_options
    history = asyncio.run(read_history(bootstrap_servers, prefix, urls, ZoneInfo(zone), datetime.now(UTC), kafka))
    if logs:
        history.logs = {file.name: file.read_text("utf-8", "replace") for file in logs.glob("*.log")}
    for topic in truncated_topics(history):
        typer.echo(f"warning: {topic} begins after offset 0; older issues and orders are incomplete", err=True)
    verdicts = audit(history)
    typer.echo(_json(verdicts) if as_json else "\n".join(line for verdict in verdicts for line in _lines(verdict)))
    raise typer.Exit(any(verdict.violations for verdict in verdicts))


def _json(verdicts: list[Verdict]) -> str:
    """Null stands for an invariant without sufficient data."""
    violations = {
        verdict.name: None
        if verdict.violations is None
        else [{"description": each.description, "records": each.records} for each in verdict.violations]
        for verdict in verdicts
    }
    return json.dumps(violations, indent=2, ensure_ascii=False)


def _lines(verdict: Verdict) -> list[str]:
    if verdict.violations is None:
        return [f"{verdict.name}: insufficient data: {verdict.reason}"]
    lines = [f"{verdict.name}: {len(verdict.violations)} violations"]
    for each in verdict.violations:
        lines.append(f"  {each.description}")
        lines.extend(f"    {record}" for record in each.records)
    return lines


if __name__ == "__main__":
    typer.run(main)
