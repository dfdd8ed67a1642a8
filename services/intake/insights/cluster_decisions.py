"""Decisions on clusters; pure. The state key is the cluster's id.

- `cluster.found` (from the detection loop) creates the cluster and publishes `cluster.detected`. The lot is held and
  its buyers are warned at once if the policy says "always"; for "ask" a timer reminds staff.
- A decision over HTTP approves (`lot.held`, and `buyer.warned` once per order) or refuses. After a refusal, the reports
  counted so far are treated as chance.
- `cluster.buyers_changed` warns buyers of units delivered since.
- A release over HTTP publishes `lot.released` and ends the warnings.

Holding without approval is not the default: a hold may stop the whole season's stock.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from libs.common.decisions.context import DecisionContext
from libs.common.decisions.facts import Facts, Ignored, TimerFired
from libs.common.events.envelope import Payload
from libs.common.events.products import BuyerWarned, ClusterDetected, LotHeld, LotReleased
from libs.common.events.registry import AnyEvent
from services.intake.insights.clusters import (
    Buyer,
    BuyersChanged,
    BuyerWarningSent,
    Cluster,
    ClusterDecided,
    ClusterFound,
    ClusterReleased,
    ClusterState,
    ClusterStatus,
    DecisionRecord,
)
from services.intake.policy.detection_policy import ActionMode, DetectionPolicy

DECISION_REMINDER = "decision_reminder"
DECIDED_BY_POLICY = "policy"

PUBLISHES: tuple[type[Payload], ...] = (ClusterDetected, LotHeld, LotReleased, BuyerWarned)


@dataclass(slots=True)
class ClusterContext(DecisionContext[Cluster, DetectionPolicy]):
    """The cluster under decision, with its buyers."""

    buyers: tuple[Buyer, ...] = ()

    def hold(self, decision: DecisionRecord) -> None:
        self.emit(LotHeld(**_subject(self.state), staff=decision.staff, comment=decision.comment, held_at=self.now))
        self.change(status=ClusterStatus.ACTING, decision=decision, is_held=True)

    def warn(self, decision: DecisionRecord) -> None:
        self.change(status=ClusterStatus.ACTING, decision=decision, warns_buyers=True)
        self.warn_buyers()

    def warn_buyers(self) -> None:
        for buyer in self.buyers:
            warned = BuyerWarned(
                **_subject(self.state),
                order_id=buyer.order_id,
                customer_id=buyer.customer_id,
                lines=buyer.lines,
                cause=self.rules.warnings[self.state.reasons[0]],
                warned_at=self.now,
            )
            self.emit(warned, BuyerWarningSent(self.state.cluster_id, buyer.order_id))


def _subject(cluster: Cluster) -> dict[str, Any]:
    return {"sku": cluster.sku, "lot": cluster.lot or None, "cluster_id": cluster.cluster_id}


def decide(
    state: ClusterState | None, event: AnyEvent, now: datetime, rules: DetectionPolicy
) -> tuple[ClusterState | None, Facts]:
    """Total: repeated, late and unrelated events are ignored with a reason.

    Buyers that this decision warned are removed, so that the next event of the same batch does not warn them again.
    """
    known = state or ClusterState(None)
    if isinstance(event.data, ClusterFound):
        if known.cluster:
            return state, [Ignored("cluster_known")]
        context = ClusterContext(_new(event.data, now), now, rules, buyers=known.buyers)
        _detect(context)
    elif known.cluster is None:
        return state, [Ignored("unknown_cluster")]
    else:
        context = ClusterContext(known.cluster, now, rules, buyers=known.buyers)
        HANDLERS.get(type(event.data), _ignore)(context, event.data)
    return _state_after(state, known, context), context.facts


def _state_after(state: ClusterState | None, known: ClusterState, context: ClusterContext) -> ClusterState | None:
    if any(isinstance(fact, BuyerWarningSent) for fact in context.facts):
        return replace(known, cluster=context.state, buyers=())
    return state if context.state is known.cluster else replace(known, cluster=context.state)


def _new(found: ClusterFound, now: datetime) -> Cluster:
    return Cluster(
        cluster_id=found.cluster_id,
        sku=found.sku,
        lot=found.lot,
        reasons=found.reasons,
        units=found.units,
        orders=found.orders,
        expected=found.expected,
        detected_at=now,
        since=found.since,
    )


def _detect(context: ClusterContext) -> None:
    cluster, actions = context.state, context.rules.actions
    detected = ClusterDetected(
        **_subject(cluster),
        reasons=cluster.reasons,
        reported_orders=cluster.orders,
        delivered_units=cluster.units,
        expected_orders=f"{cluster.expected:.2f}",
        detected_at=context.now,
    )
    context.emit(detected)
    by_policy = DecisionRecord(DECIDED_BY_POLICY, 'detection_policy.toml: actions are "always"', context.now)
    if actions.hold == ActionMode.ALWAYS:
        context.hold(by_policy)
    if actions.warn == ActionMode.ALWAYS:
        context.warn(by_policy)
    if ActionMode.ASK in (actions.hold, actions.warn):
        context.set_timer(DECISION_REMINDER, context.now + actions.reminder_interval)


def _awaits_decision(cluster: Cluster) -> bool:
    """Return true if no member of staff has decided yet and a decision is still possible."""
    is_open = cluster.status in (ClusterStatus.PROPOSED, ClusterStatus.ACTING)
    return is_open and (cluster.decision is None or cluster.decision.staff == DECIDED_BY_POLICY)


def _on_decision(context: ClusterContext, decided: ClusterDecided) -> None:
    """Apply an approval to whatever is not done yet: hold and warning may be approved one after the other."""
    cluster = context.state
    record = DecisionRecord(decided.staff, decided.comment, context.now)
    hold = decided.approve and decided.hold and not cluster.is_held
    warn = decided.approve and decided.warn and not cluster.warns_buyers
    is_open = cluster.status in (ClusterStatus.PROPOSED, ClusterStatus.ACTING)
    if not is_open or (not decided.approve and not _awaits_decision(cluster)):
        context.ignore("already_decided")
    elif decided.approve and not (hold or warn):
        context.ignore("nothing_to_do")
    else:
        context.cancel_timer(DECISION_REMINDER)
        if hold:
            context.hold(record)
        if warn:
            context.warn(record)
        if not decided.approve:
            proposed = cluster.status == ClusterStatus.PROPOSED
            context.change(status=ClusterStatus.REFUSED if proposed else cluster.status, decision=record)


def _on_release(context: ClusterContext, released: ClusterReleased) -> None:
    cluster = context.state
    if cluster.status != ClusterStatus.ACTING:
        context.ignore("not_acting")
        return
    record = DecisionRecord(released.staff, released.comment, context.now)
    context.cancel_timer(DECISION_REMINDER)
    if cluster.is_held:
        lot_released = LotReleased(
            **_subject(cluster), staff=record.staff, comment=record.comment, released_at=context.now
        )
        context.emit(lot_released)
    context.change(status=ClusterStatus.RELEASED, is_held=False, warns_buyers=False, release=record)


def _on_new_buyers(context: ClusterContext, _: BuyersChanged) -> None:
    if context.state.warns_buyers:
        context.warn_buyers()
    else:
        context.ignore("cluster_not_concerned")


def _on_timer(context: ClusterContext, timer: TimerFired) -> None:
    if timer.name == DECISION_REMINDER and _awaits_decision(context.state):
        context.anomaly("cluster_decision_overdue", f"cluster {context.state.cluster_id}")
        context.set_timer(DECISION_REMINDER, context.now + context.rules.actions.reminder_interval)
    else:
        context.ignore("cluster_not_concerned")


def _ignore(context: ClusterContext, _: Payload) -> None:
    context.ignore("cluster_not_concerned")


HANDLERS: dict[type[Payload], Callable[[ClusterContext, Any], None]] = {
    ClusterDecided: _on_decision,
    ClusterReleased: _on_release,
    BuyersChanged: _on_new_buyers,
    TimerFired: _on_timer,
}
"""Handlers of known clusters; `ClusterFound` creates one."""
