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
class ClusterDecision(DecisionContext[Cluster, DetectionPolicy]):
    """The cluster under decision, with its buyers."""

    buyers: tuple[Buyer, ...] = ()

    def hold(self, record: DecisionRecord) -> None:
        self.emit(LotHeld(**_subject(self.state), staff=record.staff, comment=record.comment, held_at=self.now))
        self.change(status=ClusterStatus.ACTING, decision=record, is_held=True)

    def warn(self, record: DecisionRecord) -> None:
        self.change(status=ClusterStatus.ACTING, decision=record, warns_buyers=True)
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
        decision = ClusterDecision(_new(event.data, now), now, rules, buyers=known.buyers)
        _detect(decision)
    elif known.cluster is None:
        return state, [Ignored("unknown_cluster")]
    else:
        decision = ClusterDecision(known.cluster, now, rules, buyers=known.buyers)
        HANDLERS.get(type(event.data), _ignore)(decision, event.data)
    return _state_after(state, known, decision), decision.facts


def _state_after(state: ClusterState | None, known: ClusterState, decision: ClusterDecision) -> ClusterState | None:
    if any(isinstance(fact, BuyerWarningSent) for fact in decision.facts):
        return replace(known, cluster=decision.state, buyers=())
    return state if decision.state is known.cluster else replace(known, cluster=decision.state)


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


def _detect(decision: ClusterDecision) -> None:
    cluster, actions = decision.state, decision.rules.actions
    detected = ClusterDetected(
        **_subject(cluster),
        reasons=cluster.reasons,
        reported_orders=cluster.orders,
        delivered_units=cluster.units,
        expected_orders=f"{cluster.expected:.2f}",
        detected_at=decision.now,
    )
    decision.emit(detected)
    by_policy = DecisionRecord(DECIDED_BY_POLICY, 'detection_policy.toml: actions are "always"', decision.now)
    if actions.hold == ActionMode.ALWAYS:
        decision.hold(by_policy)
    if actions.warn == ActionMode.ALWAYS:
        decision.warn(by_policy)
    if ActionMode.ASK in (actions.hold, actions.warn):
        decision.set_timer(DECISION_REMINDER, decision.now + actions.reminder_interval)


def _awaits_decision(cluster: Cluster) -> bool:
    """Return true if no member of staff has decided yet and a decision is still possible."""
    is_open = cluster.status in (ClusterStatus.PROPOSED, ClusterStatus.ACTING)
    return is_open and (cluster.decision is None or cluster.decision.staff == DECIDED_BY_POLICY)


def _on_decision(decision: ClusterDecision, decided: ClusterDecided) -> None:
    """Apply an approval to whatever is not done yet: hold and warning may be approved one after the other."""
    cluster = decision.state
    record = DecisionRecord(decided.staff, decided.comment, decision.now)
    hold = decided.approve and decided.hold and not cluster.is_held
    warn = decided.approve and decided.warn and not cluster.warns_buyers
    is_open = cluster.status in (ClusterStatus.PROPOSED, ClusterStatus.ACTING)
    if not is_open or (not decided.approve and not _awaits_decision(cluster)):
        decision.ignore("already_decided")
    elif decided.approve and not (hold or warn):
        decision.ignore("nothing_to_do")
    else:
        decision.cancel_timer(DECISION_REMINDER)
        if hold:
            decision.hold(record)
        if warn:
            decision.warn(record)
        if not decided.approve:
            proposed = cluster.status == ClusterStatus.PROPOSED
            decision.change(status=ClusterStatus.REFUSED if proposed else cluster.status, decision=record)


def _on_release(decision: ClusterDecision, released: ClusterReleased) -> None:
    cluster = decision.state
    if cluster.status != ClusterStatus.ACTING:
        decision.ignore("not_acting")
        return
    record = DecisionRecord(released.staff, released.comment, decision.now)
    decision.cancel_timer(DECISION_REMINDER)
    if cluster.is_held:
        lot_released = LotReleased(
            **_subject(cluster), staff=record.staff, comment=record.comment, released_at=decision.now
        )
        decision.emit(lot_released)
    decision.change(status=ClusterStatus.RELEASED, is_held=False, warns_buyers=False, release=record)


def _on_new_buyers(decision: ClusterDecision, _: BuyersChanged) -> None:
    if decision.state.warns_buyers:
        decision.warn_buyers()
    else:
        decision.ignore("cluster_not_concerned")


def _on_timer(decision: ClusterDecision, timer: TimerFired) -> None:
    if timer.name == DECISION_REMINDER and _awaits_decision(decision.state):
        decision.anomaly("cluster_decision_overdue", f"cluster {decision.state.cluster_id}")
        decision.set_timer(DECISION_REMINDER, decision.now + decision.rules.actions.reminder_interval)
    else:
        decision.ignore("cluster_not_concerned")


def _ignore(decision: ClusterDecision, _: Payload) -> None:
    decision.ignore("cluster_not_concerned")


HANDLERS: dict[type[Payload], Callable[[ClusterDecision, Any], None]] = {
    ClusterDecided: _on_decision,
    ClusterReleased: _on_release,
    BuyersChanged: _on_new_buyers,
    TimerFired: _on_timer,
}
"""Handlers of known clusters; `ClusterFound` creates one."""
