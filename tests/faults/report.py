"""What a run came to, as tables and as JSON."""

from typing import Any

from rich.console import Console
from rich.table import Table

from tests.faults.run import Outcome

SHOWN, KEPT = 10, 200
"""So many violations of a check are told, and so many kept in the report; all are counted."""


def as_json(outcome: Outcome) -> dict[str, Any]:
    """`violations` by name, how many; `shown` says which, with the records that show them."""
    return {
        "seed": outcome.seed,
        "seconds": outcome.seconds,
        "done": dict(sorted(outcome.done.items())),
        "not_done": outcome.not_done,
        "reports_accepted": outcome.accepted,
        "effects_found": outcome.effects,
        "recovery_seconds": outcome.recovery_seconds,
        "took_seconds": outcome.took,
        "violations": outcome.violations,
        "not_judged": {v.name: v.reason for v in outcome.verdicts if v.violations is None},
        "shown": {
            v.name: [{"what": each.what, "shown_by": each.shown_by} for each in v.violations[:KEPT]]
            for v in outcome.verdicts
            if v.violations
        }
        | ({"recovered": outcome.never_calm} if outcome.never_calm else {}),
    }


def show(console: Console, outcome: Outcome) -> None:
    told = as_json(outcome)
    console.print(_table("What was done", told["done"]))
    for what, why in outcome.not_done.items():
        console.print(f"[bold yellow]NOT DONE: {what}: {why}[/bold yellow]")
    took = "never" if outcome.recovery_seconds is None else f"{outcome.recovery_seconds:.1f}"
    figures: dict[str, Any] = {"reports accepted": outcome.accepted, "effects found": outcome.effects}
    figures |= {"violations": sum(outcome.violations.values()), "seconds to recover": took, "seed": outcome.seed}
    figures |= {f"seconds of {name}": seconds for name, seconds in outcome.took.items()}
    console.print(_table("What came of it", figures))
    console.print(_table("Violations", outcome.violations))
    for name, shown in told["shown"].items():
        for each in shown[:SHOWN] if isinstance(shown, list) else [{"what": shown, "shown_by": ()}]:
            console.print(f"[red]{name}[/red]: {each['what']}", highlight=False)
            for record in each["shown_by"][:4]:
                console.print(f"    {record}", highlight=False, markup=False)
    for name, why in told["not_judged"].items():
        console.print(f"[yellow]{name} could not be judged: {why}[/yellow]")


def _table(title: str, rows: dict[str, Any]) -> Table:
    table = Table(title=title, title_justify="left", show_header=False, min_width=50)
    table.add_column()
    table.add_column(justify="right")
    for name, value in rows.items():
        table.add_row(name.replace("_", " "), str(value))
    return table
