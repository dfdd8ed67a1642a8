"""Partners: the way in and out for partners without a Kafka client."""

from pathlib import Path

from fastapi import FastAPI

from libs.common.config.settings import load
from libs.common.runtime.service import Service
from services.partners.domain.decide import PUBLISHES, subscriptions
from services.partners.http import feed, submissions
from services.partners.http.dependencies import FeedNews
from services.partners.metrics import RECEIVED
from services.partners.settings import PartnersSettings
from services.partners.store.feed import Feed, retention_sweeps

EXAMPLES = Path(__file__).with_name("http") / "examples.json"


def create_app(settings: PartnersSettings | None = None) -> FastAPI:
    settings = settings or load(PartnersSettings)
    service = Service(
        "partners",
        settings,
        description="Exchanges events with partners over HTTP: takes theirs, and keeps those that are for them.",
        publishes=PUBLISHES,
    )
    partners = settings.partners.partners
    service.add_aggregate(Feed(partners), *subscriptions(partners))
    service.add_retention(*retention_sweeps(settings.feed_retention_days, settings.given_retention_days))
    app = service.create_app(
        submissions.router,
        feed.router,
        uploads=(submissions.PATH,),
        examples=EXAMPLES,
    )
    app.state.directory, app.state.news = settings.partners, FeedNews()
    app.state.received_events = service.metrics.counter(RECEIVED)
    service.wake_relay.follow(app.state.news)
    return app
