"""The desk's pages, as data for their templates: read from the database, nothing decided here."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from libs.common.runtime.service import Service
from services.intake.cli.staff import StaffRole
from services.intake.desk.available_actions import offers
from services.intake.desk.dead_letters import DeadLetterClient
from services.intake.desk.next_steps import next_steps, promises
from services.intake.desk.sessions import Session
from services.intake.store import desk as store
from services.intake.store import issues as intake_store
from services.intake.store.customer_pages import item_names
from services.intake.store.desk import Section
from services.intake.store.insights.clusters import list_clusters

HOME_ROWS, PAGE_ROWS, FOUND_ROWS = 6, 50, 50

_SHOWN = (
    "promised_ship_date", "ship_date", "previous_ship_date", "shown_ship_date", "expected_delivery_date",
    "earliest_date", "window", "due_at", "next_update_by", "kind", "channel", "promised_date", "remedy",
    "requested_remedy",
    "review",
    "action", "choice", "default", "by_default", "cause", "code", "message", "missing", "provided", "applied", "staff",
    "comment", "points", "rule", "score", "amount", "carrier", "tracking_number", "resolution",
)  # fmt: skip
"""What of a fact's data is shown, in this order; ids and lines are left out, they say nothing to people."""

_DAYS = frozenset(name for name in _SHOWN if name.endswith("_date")) | {"next_update_by"}


@dataclass(frozen=True, slots=True)
class Told:
    """One fact of the story, ready to be shown: its short type, who told it, and what of it is shown."""

    at: datetime
    type: str
    teller: str
    details: list[tuple[str, Any]]
    notice_id: str | None


@dataclass
class Views:
    """Reads what each page shows."""

    service: Service
    dead_letters: DeadLetterClient
    trace_url: str | None
    shows_mails: bool

    async def home(self, session: Session) -> dict[str, Any]:
        now = self.service.clock.now()
        async with self.service.pool.acquire() as conn:
            sections = [
                (
                    section,
                    await store.count_section(conn, section, now),
                    await store.read_section(conn, section, now, HOME_ROWS),
                )
                for section in Section
            ]
            clusters = await list_clusters(conn, "proposed")
        return {
            "now": now,
            "sections": sections,
            "clusters": clusters,
            "dead_letters": await self._dead_letters(session),
        }

    async def _dead_letters(self, session: Session) -> Any:
        return await self.dead_letters.all() if session.may(StaffRole.ADMIN) else None

    async def section(self, section: Section, after: tuple[datetime, UUID] | None) -> dict[str, Any]:
        now = self.service.clock.now()
        async with self.service.pool.acquire() as conn:
            rows = await store.read_section(conn, section, now, PAGE_ROWS, after)
            count = await store.count_section(conn, section, now)
        last = rows[-1] if len(rows) == PAGE_ROWS else None
        following = f"{last.due_at.isoformat()}~{last.issue_id}" if last else None
        return {"now": now, "section": section, "count": count, "rows": rows, "following": following}

    async def issue(self, issue_id: UUID, session: Session) -> dict[str, Any] | None:
        now = self.service.clock.now()
        async with self.service.pool.acquire() as conn:
            issue = await intake_store.read_issue(conn, issue_id)
            if issue is None:
                return None
            aside = await store.read_notes(conn, issue_id)
            waiting = await store.work_of_issue(conn, issue_id)
            claim = await store.active_claim(conn, issue_id, now)
            names = await item_names(conn, issue["order_id"])
        story = issue["timeline"]
        trace = self.trace_url.format(trace_id=aside.trace_id) if self.trace_url and aside.trace_id else None
        return {
            "now": now,
            "issue": issue,
            "items": [f"{names.get(line['line_id'], line['line_id'])} × {line['quantity']}" for line in issue["lines"]],
            "aside": aside,
            "waiting": waiting,
            "claim": claim,
            "steps": next_steps(waiting, story),
            "promises": promises(story, self._day(now), self._days(story)),
            "points": points_of(story),
            "story": [_told(fact) for fact in story],
            "trace": trace,
            "offers": offers(issue["status"], waiting) if session.may(StaffRole.AGENT) else [],
            "shows_mails": self.shows_mails and session.may(StaffRole.AGENT),
        }

    async def search(self, text: str) -> list[store.IssueHit]:
        async with self.service.pool.acquire() as conn:
            return await store.search(conn, text, FOUND_ROWS)

    def _day(self, moment: datetime) -> date:
        return moment.astimezone(self.service.settings.zone).date()

    def _days(self, story: list[dict[str, Any]]) -> dict[str, date]:
        """On which shop day each kind of fact happened, the last of each kind."""
        return {fact["type"]: self._day(fact["at"]) for fact in story}


def points_of(story: list[dict[str, Any]]) -> dict[str, int]:
    """Points of this issue by what became of them; what was reversed is neither pending nor final."""
    sums = {"granted": 0, "vested": 0, "reversed": 0}
    for fact in story:
        kind = fact["type"].removeprefix("points.").removesuffix(".v1")
        if kind in sums:
            sums[kind] += fact["data"]["points"]
    return sums


_TELLERS = {"points": "loyalty", "notice": "delivery_notify", "customer": "customer"}
_OF_INTAKE = frozenset({"reported", "accepted", "rejected", "details_requested", "details_provided", "staff_decided"})
_OF_CUSTOMER = frozenset({"rated", "collection_window_chosen"})


def _teller(type_: str) -> str:
    topic, _, fact = type_.rpartition(".v")[0].partition(".")
    if topic != "issue":
        return _TELLERS.get(topic, topic)
    return "intake" if fact in _OF_INTAKE else "customer" if fact in _OF_CUSTOMER else "returns"


def _told(fact: Mapping[str, Any]) -> Told:
    data = fact["data"]
    details = [(name, _value(name, data[name])) for name in _SHOWN if data.get(name) not in (None, "", [], ())]
    return Told(fact["at"], fact["type"].rpartition(".v")[0], _teller(fact["type"]), details, data.get("notice_id"))


def _value(name: str, value: Any) -> Any:
    """Days as days, moments as moments; the template says them in the reader's language."""
    if name in _DAYS:
        return date.fromisoformat(value)
    if name == "window":
        return {**value, "day": date.fromisoformat(value["day"])}
    if name == "due_at":
        return datetime.fromisoformat(value)
    return value
