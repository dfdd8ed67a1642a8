"""Partners: the way in and out for partners without a Kafka client."""

from pathlib import Path

from fastapi import FastAPI

from libs.common.config.settings import load
from libs.common.runtime.service import Service
from services.partners.domain.decide import PUBLISHES, subscriptions
from services.partners.http import feed, submissions, webhooks
from services.partners.http.dependencies import FeedNews
from services.partners.metrics import RECEIVED, SENT, add_metrics
from services.partners.sending.webhook_sender import WebhookSender
from services.partners.settings import PartnersSettings
from services.partners.store.deliveries import attempts_sweep
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
    service.add_retention(attempts_sweep(settings.webhook_log_days))
    add_metrics(service.metrics, partners)
    sender = WebhookSender(service, settings, service.metrics.counter(SENT))
    service.run_in_background("webhooks", sender.run)
    app = service.create_app(
        submissions.router,
        feed.router,
        webhooks.router,
        uploads=(submissions.PATH,),
        examples=EXAMPLES,
    )
    app.state.directory, app.state.news = settings.partners, FeedNews()
    app.state.received_events = service.metrics.counter(RECEIVED)
    service.wake_relay.follow(app.state.news)
    return app
