"""The customer's pages, put together."""

from fastapi import APIRouter

from libs.common.decisions.shop_calendar import ShopCalendar
from libs.common.http.signed_links import SignedLinks
from services.intake.customer_pages import report_form, status_page, survey
from services.intake.customer_pages.links import CustomerLinks
from services.intake.customer_pages.rendering import TEMPLATES, WORDS, Face
from services.intake.evidence.uploads import Evidence
from services.intake.http.commands import IntakeCommands
from services.intake.settings import Settings
from services.intake.web.assets import Assets
from services.intake.web.pages import Pages
from services.intake.web.translations import words_of

FORMS_WITH_PHOTOS = ("/s/{token}/photos", "/r/{token}/report")


def customer_pages(
    calls: IntakeCommands, evidence: Evidence, settings: Settings, links: SignedLinks, assets: Assets
) -> list[APIRouter]:
    pages = Pages(TEMPLATES, words_of(WORDS), assets, settings.zone)
    face = Face(pages, settings.shop_name, settings.shop_contact, settings.embed_origins)
    mine = CustomerLinks(settings.public_url, links)
    form = report_form.ReportForm(calls, evidence, mine, face)
    calendar: ShopCalendar = settings.open_hours.calendar
    return [
        status_page.routes(status_page.StatusPage(calls, evidence, mine, face)),
        report_form.routes(form),
        report_form.link_routes(form),
        survey.routes(survey.Survey(calls.service, mine, face, calendar)),
    ]
