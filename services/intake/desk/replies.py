"""Replies of staff at the desk: written while nobody else acts on the issue, shown before they are sent, sent once."""

from dataclasses import dataclass
from uuid import UUID

from libs.common.events.messages import MAX_REPLY_LENGTH
from libs.common.web.forms import multiline, parse_uuid
from services.intake.desk.decisions import DeskDecisions, StaleVersionError
from services.intake.desk.sessions import StaffSession
from services.intake.http.reply_commands import record_reply
from services.intake.store import customer_messages
from services.intake.store import desk as desk_store


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply as confirmed. `version` is the issue's version it was written for, `message_id` its idempotency key."""

    text: str
    version: str = ""
    message_id: UUID | None = None

    @classmethod
    def from_form(cls, form: dict[str, str]) -> "Reply":
        return cls(
            multiline(form.get("reply", ""), MAX_REPLY_LENGTH),
            form.get("version", ""),
            parse_uuid(form.get("message_id")),
        )


@dataclass(frozen=True, slots=True)
class DeskReplies:
    decisions: DeskDecisions

    async def send(self, issue_id: UUID, session: StaffSession, reply: Reply) -> bool:
        """Publish the reply once; returns False for an incomplete form and for an unknown issue.

        Raises `ClaimedError`, and `StaleVersionError` where the customer wrote again meanwhile.
        """
        if reply.message_id is None or not reply.text:
            return False
        async with self.decisions.commands.service.transaction() as tx:
            await self.decisions.hold(tx, issue_id, session)
            if await customer_messages.is_recorded(tx.conn, reply.message_id):
                return True
            if await desk_store.issue_version(tx.conn, issue_id) != reply.version:
                raise StaleVersionError
            is_sent = await record_reply(tx, issue_id, reply.message_id, session.staff, reply.text)
            await desk_store.release(tx.conn, issue_id, session.staff)
        return is_sent
