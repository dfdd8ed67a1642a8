"""Wiring of the desk: the objects behind its routes, and its background loops."""

from pathlib import Path

from libs.common.http.signed_links import SignedLinks
from libs.common.web.assets import Assets
from libs.common.web.templates import Templates
from libs.common.web.translations import read_translations
from services.intake.desk import (
    anomaly_pages,
    dead_letter_pages,
    insight_pages,
    issue_actions,
    openid_sign_in,
    order_pages,
    pages,
    request_pages,
    search_pages,
    session_pages,
    sign_in,
)
from services.intake.desk.accounts import StaffRole
from services.intake.desk.caller_reports import CallerReports
from services.intake.desk.change_stream import ChangeStream
from services.intake.desk.context import Desk
from services.intake.desk.dead_letters import DeadLetterClient
from services.intake.desk.decisions import DeskDecisions
from services.intake.desk.openid import CALLBACK_PATH, OpenIdClient, OpenIdProvider
from services.intake.desk.page_models import PageModels
from services.intake.desk.rendering import TEMPLATES_FOLDER, TRANSLATIONS_FILE, DeskRenderer
from services.intake.desk.replies import DeskReplies
from services.intake.desk.sessions import StaffSessions
from services.intake.evidence.uploads import EvidenceUploads
from services.intake.http.commands import IntakeCommands
from services.intake.policy.canned_responses import read_canned_responses
from services.intake.settings import IntakeSettings

ASSETS_FOLDER = Path(__file__).with_name("assets")
ROUTERS = (
    sign_in.router,
    openid_sign_in.router,
    session_pages.router,
    pages.router,
    search_pages.router,
    order_pages.router,
    request_pages.router,
    anomaly_pages.router,
    insight_pages.router,
    issue_actions.router,
    dead_letter_pages.router,
)


def open_desk(
    commands: IntakeCommands, evidence: EvidenceUploads, settings: IntakeSettings, links: SignedLinks, assets: Assets
) -> Desk:
    service = commands.service
    templates = Templates(TEMPLATES_FOLDER, read_translations(TRANSLATIONS_FILE), assets, settings.zone)
    sessions = StaffSessions(service, settings.desk_idle_timeout, settings.desk_session_lifetime, links)
    key = settings.ops_key.get_secret_value() if settings.ops_key else ""
    dead_letters = DeadLetterClient(service, settings.ops_urls, key)
    service.run_in_background("connections to ops routes", dead_letters.hold_connections)
    changes = ChangeStream(service, sessions)
    service.run_in_background("desk change stream", changes.run)
    models = PageModels(
        service,
        dead_letters,
        settings.trace_url,
        shows_notices=bool(settings.notices_url),
        responses=read_canned_responses(settings.canned_responses_file),
    )
    decisions = DeskDecisions(commands)
    return Desk(
        service=service,
        evidence=evidence,
        links=links,
        renderer=DeskRenderer(
            templates,
            settings.shop_name,
            has_passwords=not settings.desk_openid_only,
            has_openid=bool(settings.oidc_issuer),
        ),
        sessions=sessions,
        changes=changes,
        dead_letters=dead_letters,
        models=models,
        decisions=decisions,
        reports=CallerReports(commands),
        replies=DeskReplies(decisions),
        notices_url=settings.notices_url,
        secure_cookies=settings.desk_secure_cookies,
        openid=_open_openid(settings),
    )


def _open_openid(settings: IntakeSettings) -> OpenIdClient | None:
    if settings.oidc_issuer is None or settings.oidc_client_secret is None:
        return None
    provider = OpenIdProvider(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        client_secret=settings.oidc_client_secret,
        role_claim=settings.oidc_role_claim,
        roles={StaffRole(role): values for role, values in settings.oidc_roles.items()},
        name_claim=settings.oidc_name_claim,
        scope=settings.oidc_scope,
    )
    return OpenIdClient(provider, (settings.desk_url or settings.public_url).rstrip("/") + CALLBACK_PATH)
