"""A cluster of reports: found, decided by a human (or by policy), acted upon, ended. Pure; the key is the cluster's id.

- `cluster.found` (from the learner): keeps it, tells `cluster.detected`; holds and warns at once where policy says
  "always", else sets the timer that asks ops again.
- A decision over HTTP: `approve` holds further shipments (`lot.held`) and warns the buyers (`buyer.warned`, once per
  order) as it says; `refuse` ends it, and what was counted so far is counted as chance from then on.
- News of buyers (from the learner): those whose pieces arrived since are warned too.
- A release over HTTP: `lot.released`, and nobody is warned any more.

A hold without approval was left aside as the default: what it stops may be the whole season's stock.
"""

from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from libs.common.decisions.facts import Anomaly, CancelTimer, Fact, Facts, Ignored, Record, SetTimer, TimerFired
from libs.common.events.envelope import Payload
from libs.common.events.products import BuyerWarned, ClusterDetected, DecisionComment, LotHeld, LotReleased
from libs.common.events.registry import AnyEvent
from libs.common.events.values import Identifier, LineQuantity, Reason
from services.intake.insights.policy import Policy, Switch

ASK_AGAIN = "ask_again"
BY_POLICY = "policy"


class Status(StrEnum):
    PROPOSED = "proposed"
    ACTING = "acting"
    REFUSED = "refused"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class Decision:
    """Who decided, why and when. `staff` is `policy` where the policy decides by itself."""

    staff: str
    comment: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Cluster:
    """`lot` is empty for a product as a whole; `since` is the first day of arrival that it is about, if not all.

    `pieces` and `orders` are what was counted when it was found, or last refused.
    """

    cluster_id: UUID
    sku: str
    lot: str
    reasons: tuple[Reason, ...]
    pieces: int
    orders: int
    expected: float
    detected_at: datetime
    since: date | None = None
    status: Status = Status.PROPOSED
    held: bool = False
    warning: bool = False
    decided: Decision | None = None
    released: Decision | None = None


@dataclass(frozen=True, slots=True)
class Buyer:
    """Somebody at whose door pieces of it lie, who has neither reported nor been warned."""

    order_id: str
    customer_id: str
    lines: tuple[LineQuantity, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """A cluster with what lies beside it: the buyers still to be warned, loaded where they may be."""

    cluster: Cluster | None
    buyers: tuple[Buyer, ...] = ()
    version: int = 0


@dataclass(frozen=True, slots=True)
class Warned(Record):
    """A row in `buyers_warned`."""

    cluster_id: UUID
    order_id: str


class ClusterCommand(Payload):
    """Commands of this service; they never leave it."""

    cluster_id: UUID


class ClusterFound(ClusterCommand):
    TYPE: ClassVar = "cluster.found.v1"

    sku: Identifier
    lot: str
    reasons: tuple[Reason, ...]
    pieces: int
    orders: int
    expected: float
    since: date | None = None


class ClusterDecided(ClusterCommand):
    TYPE: ClassVar = "cluster.decided.v1"

    approve: bool
    hold: bool = True
    warn: bool = True
    staff: Identifier
    comment: DecisionComment


class ClusterReleased(ClusterCommand):
    TYPE: ClassVar = "cluster.released.v1"

    staff: Identifier
    comment: DecisionComment


class BuyersChanged(ClusterCommand):
    """More pieces of it arrived."""

    TYPE: ClassVar = "cluster.buyers_changed.v1"


@dataclass(slots=True)
class _Turn:
    """One decision under way."""

    cluster: Cluster
    buyers: tuple[Buyer, ...]
    now: datetime
    policy: Policy
    facts: list[Fact] = field(default_factory=list)

    def hold(self, by: Decision) -> None:
        about = {"sku": self.cluster.sku, "lot": self.cluster.lot or None, "cluster_id": self.cluster.cluster_id}
        self.facts.append(LotHeld(**about, staff=by.staff, comment=by.comment, held_at=self.now))
        self.cluster = replace(self.cluster, status=Status.ACTING, decided=by, held=True)

    def warn(self, by: Decision) -> None:
        self.cluster = replace(self.cluster, status=Status.ACTING, decided=by, warning=True)
        self.warn_buyers()

    def warn_buyers(self) -> None:
        cluster = self.cluster
        for buyer in self.buyers:
            warned = BuyerWarned(
                sku=cluster.sku,
                lot=cluster.lot or None,
                cluster_id=cluster.cluster_id,
                order_id=buyer.order_id,
                customer_id=buyer.customer_id,
                lines=buyer.lines,
                cause=self.policy.warnings[cluster.reasons[0]],
                warned_at=self.now,
            )
            self.facts += [warned, Warned(cluster.cluster_id, buyer.order_id)]

    def done(self) -> tuple[Cluster, Facts]:
        return self.cluster, self.facts


def decide(known: Known | None, event: AnyEvent, now: datetime, policy: Policy) -> tuple[Cluster | None, Facts]:
    """Total: what comes twice, too late or about nothing known is ignored with its reason."""
    cluster, buyers = (known.cluster, known.buyers) if known else (None, ())
    match event.data:
        case ClusterFound() as found:
            if cluster:
                return cluster, [Ignored("cluster_known")]
            return _begin(_Turn(_new(found, now), buyers, now, policy))
        case _ if cluster is None:
            return None, [Ignored("unknown_cluster")]
    turn = _Turn(cluster, buyers, now, policy)
    match event.data:
        case ClusterDecided() as decided:
            return _decided(turn, decided)
        case ClusterReleased() as released:
            return _released(turn, released)
        case BuyersChanged() if cluster.warning:
            turn.warn_buyers()
            return turn.done()
        case TimerFired(name=name) if name == ASK_AGAIN and _is_asked(cluster):
            again = SetTimer(ASK_AGAIN, now + policy.act.answer_time)
            return cluster, [Anomaly("cluster_waits_for_decision", f"cluster {cluster.cluster_id}"), again]
    return cluster, [Ignored("cluster_not_concerned")]


def _new(found: ClusterFound, now: datetime) -> Cluster:
    return Cluster(
        found.cluster_id,
        found.sku,
        found.lot,
        found.reasons,
        found.pieces,
        found.orders,
        found.expected,
        now,
        found.since,
    )


def _begin(turn: _Turn) -> tuple[Cluster, Facts]:
    cluster, act = turn.cluster, turn.policy.act
    detected = ClusterDetected(
        sku=cluster.sku,
        lot=cluster.lot or None,
        cluster_id=cluster.cluster_id,
        reasons=cluster.reasons,
        reported_orders=cluster.orders,
        delivered_units=cluster.pieces,
        expected_orders=f"{cluster.expected:.2f}",
        detected_at=turn.now,
    )
    turn.facts.append(detected)
    by_policy = Decision(BY_POLICY, "insights.toml says so", turn.now)
    if act.hold is Switch.ALWAYS:
        turn.hold(by_policy)
    if act.warn is Switch.ALWAYS:
        turn.warn(by_policy)
    if Switch.ASK in (act.hold, act.warn):
        turn.facts.append(SetTimer(ASK_AGAIN, turn.now + act.answer_time))
    return turn.done()


def _is_asked(cluster: Cluster) -> bool:
    """No human has decided yet, and there is still something to decide."""
    open_ = cluster.status in (Status.PROPOSED, Status.ACTING)
    return open_ and (cluster.decided is None or cluster.decided.staff == BY_POLICY)


def _decided(turn: _Turn, decided: ClusterDecided) -> tuple[Cluster, Facts]:
    """What is done already stays as it is; the other half may still be decided."""
    cluster, by = turn.cluster, Decision(decided.staff, decided.comment, turn.now)
    hold = decided.approve and decided.hold and not cluster.held
    warn = decided.approve and decided.warn and not cluster.warning
    if cluster.status not in (Status.PROPOSED, Status.ACTING) or (not decided.approve and not _is_asked(cluster)):
        return cluster, [Ignored("already_decided")]
    if decided.approve and not (hold or warn):
        return cluster, [Ignored("nothing_to_do")]
    turn.facts.append(CancelTimer(ASK_AGAIN))
    if hold:
        turn.hold(by)
    if warn:
        turn.warn(by)
    if not decided.approve:
        after = Status.REFUSED if cluster.status is Status.PROPOSED else cluster.status
        turn.cluster = replace(cluster, status=after, decided=by)
    return turn.done()


def _released(turn: _Turn, released: ClusterReleased) -> tuple[Cluster, Facts]:
    cluster, by = turn.cluster, Decision(released.staff, released.comment, turn.now)
    if cluster.status is not Status.ACTING:
        return cluster, [Ignored("not_acting")]
    turn.facts.append(CancelTimer(ASK_AGAIN))
    if cluster.held:
        about = {"sku": cluster.sku, "lot": cluster.lot or None, "cluster_id": cluster.cluster_id}
        turn.facts.append(LotReleased(**about, staff=by.staff, comment=by.comment, released_at=turn.now))
    turn.cluster = replace(cluster, status=Status.RELEASED, held=False, warning=False, released=by)
    return turn.done()
