"""Wiring of customer pages: the objects behind their routes."""

from pathlib import Path

from libs.common.http.signed_links import SignedLinks
from libs.common.web.assets import Assets
from libs.common.web.templates import Templates
from libs.common.web.translations import read_translations
from services.intake.customer_pages import find_order, report_form, status_page, survey
from services.intake.customer_pages.context import CustomerPages
from services.intake.customer_pages.links import CustomerPageLinks
from services.intake.customer_pages.order_lookup import ACCEPTED, OrderLookup
from services.intake.customer_pages.rendering import TEMPLATES_FOLDER, TRANSLATIONS_FOLDER, CustomerPageRenderer
from services.intake.evidence.uploads import EvidenceUploads
from services.intake.http.commands import IntakeCommands
from services.intake.metrics import ORDER_LOOKUPS
from services.intake.settings import IntakeSettings

ASSETS_FOLDER = Path(__file__).with_name("assets")
ROUTERS = (find_order.router, status_page.router, report_form.router, report_form.api_router, survey.router)
UPLOADS = ("/s/{token}/photos", "/r/{token}/report")
"""Paths of multipart forms, which have a higher body limit."""


def open_customer_pages(
    commands: IntakeCommands, evidence: EvidenceUploads, settings: IntakeSettings, links: SignedLinks, assets: Assets
) -> CustomerPages:
    assets = assets.below(settings.public_url)
    templates = Templates(TEMPLATES_FOLDER, read_translations(TRANSLATIONS_FOLDER), assets, settings.zone)
    renderer = CustomerPageRenderer(templates, settings.brand, settings.shop_contact, settings.embed_origins)
    return CustomerPages(
        commands=commands,
        evidence=evidence,
        links=CustomerPageLinks(settings.public_url, links),
        renderer=renderer,
        calendars=settings.calendars,
        lookup=OrderLookup(
            commands.service, ACCEPTED[settings.order_lookup], commands.service.metrics.counter(ORDER_LOOKUPS)
        ),
        signed=links,
        secure_cookies=settings.desk_secure_cookies,
    )
