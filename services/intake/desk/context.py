"""Objects behind the routes of the desk, as `app.state.desk`."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from libs.common.http.signed_links import SignedLinks
from libs.common.runtime.service import Service
from services.intake.desk.caller_reports import CallerReports
from services.intake.desk.change_stream import ChangeStream
from services.intake.desk.dead_letters import DeadLetterClient
from services.intake.desk.decisions import DeskDecisions
from services.intake.desk.openid import OpenIdClient
from services.intake.desk.page_models import PageModels
from services.intake.desk.rendering import DeskRenderer
from services.intake.desk.replies import DeskReplies
from services.intake.desk.sessions import StaffSessions
from services.intake.evidence.uploads import EvidenceUploads


@dataclass(frozen=True, slots=True)
class Desk:
    """`notices_url` is the address of delivery_notify for staff; None hides links to sent mails. `openid` is None
    without an identity provider."""

    service: Service
    evidence: EvidenceUploads
    links: SignedLinks
    renderer: DeskRenderer
    sessions: StaffSessions
    changes: ChangeStream
    dead_letters: DeadLetterClient
    models: PageModels
    decisions: DeskDecisions
    reports: CallerReports
    replies: DeskReplies
    notices_url: str | None
    secure_cookies: bool
    openid: OpenIdClient | None


def current_desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


CurrentDesk = Annotated[Desk, Depends(current_desk)]
