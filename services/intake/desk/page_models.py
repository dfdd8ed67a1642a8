"""Models of the desk's pages: data for their templates, read from the database."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from libs.common.runtime.service import Service
from services.intake.desk.accounts import StaffRole
from services.intake.desk.available_actions import available_actions
from services.intake.desk.customer_panels import open_panel
from services.intake.desk.dead_letters import DeadLetterClient, DeadLetterListing
from services.intake.desk.next_steps import next_steps
from services.intake.desk.promised_dates import promised_dates
from services.intake.desk.sessions import StaffSession
from services.intake.desk.timeline_rows import points_by_state, timeline_row, with_staff_entries
from services.intake.policy.canned_responses import CannedResponses
from services.intake.store import desk as desk_store
from services.intake.store.change_requests import count_requests
from services.intake.store.customer_pages import reported_items
from services.intake.store.desk import Section, SectionKey
from services.intake.store.insights.clusters import list_clusters
from services.intake.store.issues import read_issue

HOME_ROWS, PAGE_ROWS = 6, 50


@dataclass
class PageModels:
    service: Service
    dead_letters: DeadLetterClient
    trace_url: str | None
    shows_notices: bool
    responses: CannedResponses

    async def home(self, session: StaffSession) -> dict[str, Any]:
        now = self.service.clock.now()
        async with self.service.pool.acquire() as conn:
            counts = {section: await desk_store.count_section(conn, section, now) for section in Section}
            rows = {section: await desk_store.read_section(conn, section, now, HOME_ROWS) for section in Section}
            clusters = await list_clusters(conn, "proposed")
            requests = await count_requests(conn)
        listings = await self._dead_letters(session)
        sections = [(section, counts[section], rows[section]) for section in Section]
        model = {"now": now, "sections": sections, "clusters": clusters, "dead_letters": listings}
        return {**model, "requests": requests}

    async def _dead_letters(self, session: StaffSession) -> Sequence[DeadLetterListing] | None:
        return await self.dead_letters.list_all() if session.may(StaffRole.ADMIN) else None

    async def section(self, section: Section, after: SectionKey | None) -> dict[str, Any]:
        now = self.service.clock.now()
        async with self.service.pool.acquire() as conn:
            rows = await desk_store.read_section(conn, section, now, PAGE_ROWS, after)
            count = await desk_store.count_section(conn, section, now)
        last = rows[-1] if len(rows) == PAGE_ROWS else None
        next_cursor = "~".join((last.due_at.isoformat(), *map(str, last.key[1:]))) if last else None
        return {"now": now, "section": section, "count": count, "rows": rows, "next_cursor": next_cursor}

    async def issue(self, issue_id: UUID, session: StaffSession, response: str = "") -> dict[str, Any] | None:
        """Return the model of an issue's page; a reply starts from the canned `response`."""
        now = self.service.clock.now()
        async with self.service.pool.acquire() as conn:
            issue = await read_issue(conn, issue_id)
            if issue is None:
                return None
            notes = await desk_store.read_notes(conn, issue_id)
            work = await desk_store.work_of_issue(conn, issue_id)
            claim = await desk_store.active_claim(conn, issue_id, now)
            items = await reported_items(conn, issue["order_id"], issue["lines"])
            panel = await open_panel(conn, self.service, session, issue["customer_id"], issue["order_id"])
        timeline, is_agent = issue["timeline"], session.may(StaffRole.AGENT)
        trace = self.trace_url.format(trace_id=notes.trace_id) if self.trace_url and notes.trace_id else None
        order = panel.contact.order_number if panel.contact else None
        return {
            "now": now,
            "issue": issue,
            "items": [f"{name} × {count}" for name, count in items],
            "responses": self.responses.titles(session.language) if is_agent else {},
            "draft": self.responses.fill(response, order or issue["order_id"], [name for name, _ in items]),
            "notes": notes,
            "claim": claim,
            "steps": next_steps(work, timeline),
            "promised_dates": promised_dates(timeline, now.astimezone(self._zone).date(), self._zone),
            "points": points_by_state(timeline),
            "timeline": with_staff_entries([timeline_row(event) for event in timeline], notes.actions),
            "panel": panel,
            "is_agent": is_agent,
            "trace": trace,
            "actions": available_actions(issue["status"], work) if is_agent else [],
            "shows_notices": self.shows_notices and is_agent,
        }

    @property
    def _zone(self) -> ZoneInfo:
        return self.service.settings.zone
