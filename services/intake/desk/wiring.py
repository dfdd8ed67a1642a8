"""The desk, put together: its routes, and the loop that tells open pages of changes."""

from fastapi import APIRouter

from libs.common.signed_links import SignedLinks
from services.intake.calls import Calls
from services.intake.desk.actions import Decisions, action_routes, parked_routes
from services.intake.desk.face import TEMPLATES, WORDS, Face
from services.intake.desk.guard import Guard
from services.intake.desk.insight_pages import insight_routes
from services.intake.desk.live import Live
from services.intake.desk.pages import mail_routes, page_routes, photo_routes, sign_in_routes
from services.intake.desk.parked import ParkedEvents
from services.intake.desk.sessions import Sessions
from services.intake.desk.views import Views
from services.intake.settings import Settings
from services.intake.uploads import Evidence
from services.intake.web.assets import Assets
from services.intake.web.pages import Pages
from services.intake.web.words import words_of


def desk(calls: Calls, evidence: Evidence, settings: Settings, links: SignedLinks, assets: Assets) -> list[APIRouter]:
    service = calls.service
    face = Face(Pages(TEMPLATES, words_of(WORDS), assets, settings.zone), settings.shop_name)
    sessions = Sessions(service, settings.desk_idle, settings.desk_longest)
    guard = Guard(sessions, secure=settings.desk_secure_cookies, forbidden=face.forbidden)
    key = settings.ops_key.get_secret_value() if settings.ops_key else ""
    parked = ParkedEvents(service, settings.ops_urls, key)
    service.run_in_background("connections to ops routes", parked.hold_connections)
    views = Views(service, parked, settings.trace_url, bool(settings.notices_url))
    live = Live(service, sessions)
    service.run_in_background("live pages", live.run)
    return [
        sign_in_routes(face, guard),
        page_routes(face, guard, views, live),
        insight_routes(service, face, guard),
        mail_routes(face, guard, views, links, settings.notices_url),
        photo_routes(guard, service, evidence),
        action_routes(face, guard, views, Decisions(calls)),
        parked_routes(face, guard, parked, service),
    ]
