"""Results of a run: counted from the topics, judged by the auditor, as JSON."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Any

from deploy.demo.behaviour_counts import count_behaviour
from deploy.demo.promise_accuracy import PromiseAccuracy
from deploy.verification.checks_points import ACCOUNTS
from deploy.verification.evidence import Fact, History
from deploy.verification.promise_accuracy import AccuracyOfGroup, measure_accuracy
from deploy.verification.promise_integrity import Outcome, count_by_day, judge_promises
from deploy.verification.verdict import Verdict


@dataclass(frozen=True, slots=True)
class DemoResult:
    """The figures of a run; `latencies` in real milliseconds."""

    issues: Mapping[str, int]
    notices: Mapping[str, int]
    points: Mapping[str, int]
    behaviour: Mapping[str, int]
    product_insights: Mapping[str, int]
    latencies: Mapping[str, float]
    lifecycles_per_second: float
    verdicts: Sequence[Verdict]
    promises: PromiseAccuracy | None = None
    integrity: Mapping[str, int] = field(default_factory=dict)
    """Dates that customers were given, by outcome; none should be `silent`."""
    first_dates: Sequence[AccuracyOfGroup] = ()
    lateness_warnings: Sequence[Mapping[str, Any]] = ()
    """Warnings to staff before the cutoff of a day, oldest first, as delivery_notify lists them."""

    @property
    def violated(self) -> bool:
        return any(verdict.violations for verdict in self.verdicts) or bool(self.integrity.get(Outcome.SILENT))

    def as_json(self) -> dict[str, Any]:
        """Null means that the data was insufficient for an invariant."""
        invariants = {v.name: None if v.violations is None else len(v.violations) for v in self.verdicts}
        return {
            "issues": dict(self.issues),
            "notices": dict(self.notices),
            "points": dict(self.points),
            "behaviour": dict(self.behaviour),
            "product_insights": dict(self.product_insights),
            "latency_ms": {"report_to_replacement_order": dict(self.latencies)},
            "lifecycles_per_second": self.lifecycles_per_second,
            "invariants": invariants,
            "promise_integrity": dict(self.integrity),
            "first_dates": {
                f"{each.dimension} {each.name}, {each.kind}": f"{each.kept.part} of {each.kept.whole} kept"
                for each in self.first_dates
            },
            "lateness_warnings": list(self.lateness_warnings),
            **({"promises": self.promises.as_json()} if self.promises else {}),
        }


def summarize(
    history: History,
    verdicts: Sequence[Verdict],
    seconds: float,
    promises: PromiseAccuracy | None = None,
    lateness_warnings: Sequence[Mapping[str, Any]] = (),
) -> DemoResult:
    """`seconds` is the real duration of the replay."""
    granted = {fact.issue for fact in history.of("points.granted")}
    finished = [i for i, facts in history.issues() if _state(facts).startswith("resolved")]
    earned = sum(1 for issue in finished if issue in granted)
    points = {"grants": len(history.of("points.granted")), "issues_with_points": earned, **_points(history)}
    kinds = Counter(fact.data["kind"] for fact in history.of("notice.sent"))
    return DemoResult(
        issues=_outcomes(history),
        notices=dict(sorted(kinds.items())),
        points=points,
        behaviour=count_behaviour(history),
        product_insights=_product_insights(history),
        latencies=_latencies(history),
        lifecycles_per_second=round(len(finished) / seconds, 2) if seconds else 0.0,
        verdicts=verdicts,
        promises=promises,
        integrity=_integrity(history),
        first_dates=measure_accuracy(history),
        lateness_warnings=lateness_warnings,
    )


def _integrity(history: History) -> dict[str, int]:
    """Every date that a customer was given, by what became of it."""
    days = count_by_day(judge_promises(history)).values()
    counts = {outcome.value: sum(day[outcome] for day in days) for outcome in Outcome}
    return {"made": sum(counts.values()), **counts}


POINTS_EVENTS = ("granted", "vested", "reversed", "reserved", "released", "redeemed", "expiring", "expired", "withheld")


def _points(history: History) -> dict[str, int]:
    """Points by published event, by reason of the grant, and by account of the ledger."""
    moved = {kind: sum(fact.data["points"] for fact in history.of(f"points.{kind}")) for kind in POINTS_EVENTS}
    kinds = Counter[str]()
    for fact in history.of("points.granted"):
        kinds[f"granted_for_{fact.data.get('kind', 'apology')}"] += fact.data["points"]
    balances = history.database("loyalty").rows("balances")
    balances_by_account = (
        {f"ledger_{account}": sum(row[account] for row in balances) for account in ACCOUNTS} if balances else {}
    )
    return {
        **moved,
        **dict(sorted(kinds.items())),
        "tiers_changed": len(history.of("tier.changed")),
        **balances_by_account,
    }


def _product_insights(history: History) -> dict[str, int]:
    """Detected clusters with their reports, and the consequences."""
    clusters = {
        f"cluster found: {fact.data['sku']} {fact.data.get('lot') or ''}".rstrip(): fact.data["reported_orders"]
        for fact in history.of("cluster.detected")
    }
    warned = {fact.order: fact.event_time for fact in history.of("buyer.warned")}
    shipped = [line for fact in history.of("order.shipped") for line in fact.data["lines"]]
    return {
        **clusters,
        "lots held": len({fact.data.get("lot") for fact in history.of("lot.held")}),
        "buyers warned before they noticed": len(warned),
        "parcels picked from checked stock": sum(str(line.get("lot")).endswith("-checked") for line in shipped),
    }


def _outcomes(history: History) -> dict[str, int]:
    counts = Counter(_state(facts) for _, facts in history.issues() if any(f.topic == "issues" for f in facts))
    for entry in history.ledger:
        if entry.get("status") not in (None, 202):
            counts[f"refused: {entry.get('code') or entry['status']}"] += 1
    return dict(sorted(counts.items()))


def _state(facts: Iterable[Fact]) -> str:
    """The state of an issue after its last event on `issues`."""
    state = "open"
    for fact in facts:
        if fact.type == "issue.resolved":
            state = f"resolved: {fact.data['remedy']}"
        elif fact.type == "issue.cancelled":
            state = "cancelled"
        elif fact.type == "issue.rejected":
            state = f"refused: {fact.data['code']}"
        elif fact.type == "issue.reopened":
            state = "open"
        elif fact.type == "issue.review_requested" and state == "open":
            state = "in review"
    return state


def _latencies(history: History) -> dict[str, float]:
    """From the storefront's 202 to the timestamp of the record; an earlier record counts as 0.

    Only issues whose replacement was ordered at once: elsewhere a customer, a courier or staff decides first.
    """
    at_once = {issue for issue, facts in history.issues() if _is_ordered_at_once(facts)}
    ordered: dict[str, int] = {}
    for fact in history.of("replacement.ordered"):
        if fact.issue in at_once:
            ordered.setdefault(fact.issue, fact.written_ms)
    answered = {e["issue_id"]: e["answered_at_ms"] for e in history.ledger if e.get("status") == 202}
    latencies = [max(0.0, ordered[issue] - at) for issue, at in answered.items() if issue in ordered]
    if len(latencies) < 2:
        return {"p50": 0.0, "p99": 0.0}
    cuts = quantiles(latencies, n=100, method="inclusive")
    return {"p50": round(cuts[49], 1), "p99": round(cuts[98], 1)}


def _is_ordered_at_once(facts: Iterable[Fact]) -> bool:
    """By the order of events on `issues`, which is reliable."""
    types = [fact.type for fact in facts if fact.topic == "issues"]
    return types[: types.index(_ORDERED)] in _AT_ONCE if _ORDERED in types else False


_ORDERED = "issue.replacement_ordered"
_AT_ONCE = (["issue.reported", "issue.accepted"], ["issue.accepted"])
