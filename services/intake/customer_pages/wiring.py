"""The customer's pages, put together."""

from fastapi import APIRouter

from libs.common.shop_calendar import ShopCalendar
from libs.common.signed_links import SignedLinks
from services.intake.calls import Calls
from services.intake.customer_pages import report, status, survey
from services.intake.customer_pages.face import TEMPLATES, WORDS, Face
from services.intake.customer_pages.links import CustomerLinks
from services.intake.settings import Settings
from services.intake.uploads import Evidence
from services.intake.web.assets import Assets
from services.intake.web.pages import Pages
from services.intake.web.words import words_of

FORMS_WITH_PHOTOS = ("/s/{token}/photos", "/r/{token}/report")


def customer_pages(
    calls: Calls, evidence: Evidence, settings: Settings, links: SignedLinks, assets: Assets
) -> list[APIRouter]:
    pages = Pages(TEMPLATES, words_of(WORDS), assets, settings.zone)
    face = Face(pages, settings.shop_name, settings.shop_contact, settings.embed_origins)
    mine = CustomerLinks(settings.public_url, links)
    form = report.ReportForm(calls, evidence, mine, face)
    calendar: ShopCalendar = settings.open_hours.calendar
    return [
        status.routes(status.StatusPage(calls, evidence, mine, face)),
        report.routes(form),
        report.link_routes(form),
        survey.routes(survey.Survey(calls.service, mine, face, calendar)),
    ]
