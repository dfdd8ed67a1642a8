"""`sakidashi rules simulate`: compare other award rules with the points granted so far.

Reads the ledger and changes nothing. Exits with 2 if the rules are invalid, and names the field.
"""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from services.loyalty.domain.rule_simulation import RuleComparison, SimulatedAward, simulate
from services.loyalty.settings import parse_rules
from services.loyalty.store.recorded_awards import read_recorded_awards

MAX_ROWS = 20


def simulate_rules(
    rules: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="Rules as TOML, like award.toml.")],
    database_url: Annotated[str, typer.Option(envvar="DATABASE_URL", help="Database of loyalty; read only.")],
    since: Annotated[datetime | None, typer.Option(help="Only awards from then on (UTC).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Compare the points of these rules with the points granted so far."""
    try:
        new_rules = parse_rules(rules.read_text(encoding="utf-8"))
    except ValueError as error:
        typer.echo(f"{rules}: {error}", err=True)
        raise typer.Exit(2) from None
    begin = since.replace(tzinfo=UTC) if since else None
    comparison = simulate(new_rules, asyncio.run(read_recorded_awards(database_url, begin)))
    if as_json:
        typer.echo(json.dumps(_document(comparison), indent=2, ensure_ascii=False))
    else:
        _print_tables(Console(), comparison)


def _document(comparison: RuleComparison) -> dict[str, Any]:
    return {
        "version": comparison.version,
        "awards": len(comparison.awards),
        "skipped": comparison.skipped,
        "points_before": comparison.points_before(),
        "points_after": comparison.points_after(),
        "by_rule": {rule: {"before": old, "after": new} for rule, (old, new) in comparison.by_rule().items()},
        "changed": [_changed_award(award) for award in comparison.changed()],
    }


def _changed_award(award: SimulatedAward) -> dict[str, Any]:
    recorded = award.recorded
    return {
        "cause": recorded.cause,
        "customer_id": recorded.customer_id,
        "at": recorded.at.isoformat(),
        "rule": award.rule,
        "before": recorded.points,
        "after": award.points,
        "change": award.change,
    }


def _print_tables(console: Console, comparison: RuleComparison) -> None:
    by_rule = _table("By rule", "rule")
    for rule, (old, new) in comparison.by_rule().items():
        by_rule.add_row(rule, *_cells(old, new))
    by_rule.add_row("all", *_cells(comparison.points_before(), comparison.points_after()), style="bold")
    console.print(by_rule)
    changed = comparison.changed()
    awards = _table(f"{len(changed)} of {len(comparison.awards)} awards differ", "cause")
    for award in changed[:MAX_ROWS]:
        awards.add_row(award.recorded.cause, *_cells(award.recorded.points, award.points))
    console.print(awards)
    if comparison.skipped:
        console.print(f"Skipped {comparison.skipped} awards without stored inputs")


def _cells(old: int, new: int) -> tuple[str, str, str]:
    return f"{old:,}", f"{new:,}", f"{new - old:+,}"


def _table(title: str, first_column: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(first_column, overflow="fold")
    for column in ("points", "new rules", "difference"):
        table.add_column(column, justify="right")
    return table


if __name__ == "__main__":
    typer.run(simulate_rules)
