"""Results of a run, as tables and as JSON."""

from typing import Any

from rich.console import Console
from rich.table import Table

from tests.faults.run import FaultResult

SHOWN_VIOLATIONS, REPORTED_VIOLATIONS = 10, 200
"""Violations of a check in the table, and in the report; all are counted."""


def as_json(outcome: FaultResult) -> dict[str, Any]:
    """`violations` are counts by check; `shown` has the violations with their records."""
    return {
        "seed": outcome.seed,
        "seconds": outcome.seconds,
        "injected": dict(sorted(outcome.injected.items())),
        "skipped": outcome.skipped,
        "reports_accepted": outcome.accepted,
        "effects_found": outcome.effects,
        "recovery_seconds": outcome.recovery_seconds,
        "phase_seconds": outcome.phase_seconds,
        "violations": outcome.violations,
        "not_judged": {v.name: v.reason for v in outcome.verdicts if v.violations is None},
        "shown": {
            v.name: [
                {"description": each.description, "records": each.records}
                for each in v.violations[:REPORTED_VIOLATIONS]
            ]
            for v in outcome.verdicts
            if v.violations
        }
        | ({"recovered": outcome.not_quiescent} if outcome.not_quiescent else {}),
    }


def show(console: Console, outcome: FaultResult) -> None:
    report = as_json(outcome)
    console.print(_table("Injected faults", report["injected"]))
    for kind, reason in outcome.skipped.items():
        console.print(f"[bold yellow]NOT INJECTED: {kind}: {reason}[/bold yellow]")
    took = "never" if outcome.recovery_seconds is None else f"{outcome.recovery_seconds:.1f}"
    figures: dict[str, Any] = {"reports accepted": outcome.accepted, "effects found": outcome.effects}
    figures |= {"violations": sum(outcome.violations.values()), "seconds to recover": took, "seed": outcome.seed}
    figures |= {f"seconds: {name}": seconds for name, seconds in outcome.phase_seconds.items()}
    console.print(_table("Result", figures))
    console.print(_table("Violations", outcome.violations))
    for name, shown in report["shown"].items():
        for each in shown[:SHOWN_VIOLATIONS] if isinstance(shown, list) else [{"description": shown, "records": ()}]:
            console.print(f"[red]{name}[/red]: {each['description']}", highlight=False)
            for record in each["records"][:4]:
                console.print(f"    {record}", highlight=False, markup=False)
    for name, reason in report["not_judged"].items():
        console.print(f"[yellow]{name} was not judged: {reason}[/yellow]")


def _table(title: str, rows: dict[str, Any]) -> Table:
    table = Table(title=title, title_justify="left", show_header=False, min_width=50)
    table.add_column()
    table.add_column(justify="right")
    for name, value in rows.items():
        table.add_row(name.replace("_", " "), str(value))
    return table
