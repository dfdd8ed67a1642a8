"""All services as apps, created but not started."""

import importlib
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from deploy.service_settings import settings_class
from libs.common.events.topics import ALL_SERVICES
from tests.partners.service import partners_toml
from tests.running import API_KEYS, LINK_SECRETS, NO_KAFKA

WEBHOOK_SECRET = "whsec_" + "c2VjcmV0LWZvci10ZXN0cy1vZi13ZWJob29rcw=="
SHOPIFY_SECRET = "secret-of-the-shopify-app"

OF_ALL: dict[str, Any] = {
    "database_url": "postgresql://nobody@localhost/none",
    "kafka_bootstrap_servers": NO_KAFKA,
    "api_keys": API_KEYS,
    "public_url": "http://service",
    "link_secrets": LINK_SECRETS,
}
OF_ONE: dict[str, dict[str, Any]] = {
    "intake": {"webhook_secrets": WEBHOOK_SECRET, "shopify_secrets": SHOPIFY_SECRET},
    "delivery_notify": {
        "smtp_url": "discard://",
        "mail_from": "shop@example.com",
        "bounce_webhook_secret": WEBHOOK_SECRET,
    },
    "partners": {"partners": partners_toml()},
}


def app_of(service: str, folder: Path, **changed: Any) -> FastAPI:
    """Create an app with every option set, so that nothing is refused for being disabled."""
    module = importlib.import_module(f"services.{service}.app")
    settings = settings_class(service)
    given = {**OF_ALL, "evidence_dir": folder, **OF_ONE.get(service, {}), **changed}
    app: FastAPI = module.create_app(settings.model_validate(given))
    return app


def apps(folder: Path) -> dict[str, FastAPI]:
    return {service: app_of(service, folder) for service in ALL_SERVICES}


def client_of(app: FastAPI) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://service")
