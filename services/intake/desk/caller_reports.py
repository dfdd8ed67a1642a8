"""Reports that staff file for a caller, and notes of staff on an issue.

A report from the desk goes through the checks of any other. Staff may overrule the report window only, with a reason.
Who filed it stands in `desk_actions` and on the desk, not among the events of the issue, which the storefront reads.
"""

import hashlib
from dataclasses import dataclass
from uuid import UUID

from pydantic import ValidationError

from libs.common.events.storefront import IssueSubmitted
from libs.common.http.idempotency import IdempotencyKey
from libs.common.postgres.pool import Connection
from libs.common.runtime.service import ServiceTransaction
from libs.common.web.forms import multiline, parse_uuid
from services.intake.desk.sessions import StaffSession
from services.intake.http.commands import IntakeCommands
from services.intake.http.report_fields import chosen_lines, reported_line
from services.intake.store import desk as desk_store
from services.intake.store.customer_pages import reportable_lines

FILED, NOTE = "filed", "note"
MAX_TEXT_LENGTH = 1000


class ReportRefusedError(Exception):
    """The report was not accepted; the message is the reason."""


class ReportIncompleteError(Exception):
    """The form lacks the items, the reason of the report, or the reason for overruling the window."""


@dataclass(frozen=True, slots=True)
class CallerReports:
    commands: IntakeCommands

    async def file(self, order_id: str, customer_id: str, session: StaffSession, form: dict[str, str]) -> UUID:
        """Return the id of the issue. Raises `ReportIncompleteError` or `ReportRefusedError`."""
        action_id, why = parse_uuid(form.get("action_id")), multiline(form.get("why", ""), MAX_TEXT_LENGTH)
        overrules = form.get("overrule") == "1"
        if action_id is None or (overrules and not why):
            raise ReportIncompleteError
        submission = await self._submission(order_id, customer_id, form)
        fingerprint = hashlib.sha256(submission.model_dump_json().encode()).digest()
        key = IdempotencyKey("desk", str(action_id), fingerprint)
        about = "window" if overrules else ""

        async def record(conn: Connection, issue_id: UUID) -> None:
            now = self.commands.service.clock.now()
            await desk_store.record_action(conn, action_id, str(issue_id), session.staff, FILED, about, why, now)

        answer = await self.commands.submit(submission, key, overrules_window=overrules, besides=record)
        if answer.status >= 400:
            raise ReportRefusedError(answer.body["detail"])
        return UUID(answer.body["issue_id"])

    async def _submission(self, order_id: str, customer_id: str, form: dict[str, str]) -> IssueSubmitted:
        async with self.commands.service.pool.acquire() as conn:
            lines = await reportable_lines(conn, order_id, customer_id) or []
        known, reason = {line.line_id: line for line in lines}, form.get("reason", "")
        part = form.get("part", "").strip()[:200]
        try:
            return IssueSubmitted.model_validate(
                {
                    "order_id": order_id,
                    "customer_id": customer_id,
                    "reason": reason,
                    "lines": [reported_line(known.get(each), each, form, part, reason) for each in chosen_lines(form)],
                    "requested_remedy": form.get("remedy") or None,
                    "description": multiline(form.get("description", ""), 4000) or None,
                }
            )
        except ValidationError as error:
            raise ReportIncompleteError from error

    async def note(self, issue_id: UUID, session: StaffSession, form: dict[str, str]) -> bool:
        """Keep a note on an issue; returns False for an empty one."""
        action_id, text = parse_uuid(form.get("action_id")), multiline(form.get("note", ""), MAX_TEXT_LENGTH)
        if action_id is None or not text:
            return False

        async def record(tx: ServiceTransaction) -> None:
            await desk_store.record_action(tx.conn, action_id, str(issue_id), session.staff, NOTE, "", text, tx.now)

        await self.commands.service.transact(record)
        return True
