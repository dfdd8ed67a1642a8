"""The desk, put together: its routes, and the loop that tells open pages of changes."""

from fastapi import APIRouter

from libs.common.http.signed_links import SignedLinks
from services.intake.desk.actions import Decisions, action_routes, dead_letter_routes
from services.intake.desk.auth import Guard
from services.intake.desk.change_stream import Live
from services.intake.desk.dead_letters import DeadLetterClient
from services.intake.desk.insight_pages import insight_routes
from services.intake.desk.page_models import Views
from services.intake.desk.pages import mail_routes, page_routes, photo_routes, sign_in_routes
from services.intake.desk.rendering import TEMPLATES, WORDS, Face
from services.intake.desk.sessions import Sessions
from services.intake.evidence.uploads import Evidence
from services.intake.http.commands import IntakeCommands
from services.intake.settings import Settings
from services.intake.web.assets import Assets
from services.intake.web.pages import Pages
from services.intake.web.translations import words_of


def desk(
    calls: IntakeCommands, evidence: Evidence, settings: Settings, links: SignedLinks, assets: Assets
) -> list[APIRouter]:
    service = calls.service
    face = Face(Pages(TEMPLATES, words_of(WORDS), assets, settings.zone), settings.shop_name)
    sessions = Sessions(service, settings.desk_idle, settings.desk_longest)
    guard = Guard(sessions, secure=settings.desk_secure_cookies, forbidden=face.forbidden)
    key = settings.ops_key.get_secret_value() if settings.ops_key else ""
    dead_letters = DeadLetterClient(service, settings.ops_urls, key)
    service.run_in_background("connections to ops routes", dead_letters.hold_connections)
    views = Views(service, dead_letters, settings.trace_url, bool(settings.notices_url))
    live = Live(service, sessions)
    service.run_in_background("live pages", live.run)
    return [
        sign_in_routes(face, guard),
        page_routes(face, guard, views, live),
        insight_routes(service, face, guard),
        mail_routes(face, guard, views, links, settings.notices_url),
        photo_routes(guard, service, evidence),
        action_routes(face, guard, views, Decisions(calls)),
        dead_letter_routes(face, guard, dead_letters, service),
    ]
