"""Writes the secrets that `docker-compose.yml` mounts: random, one file each, outside version control.

Secrets that only the shop has (of its Shopify app, of its bucket) are random too until they are replaced: nothing is
accepted or reached with them. Other accounts cannot enter the folder; the files in it are readable, since containers
read them with another account than the one that wrote them. Existing files are kept: a database keeps its first
passwords.
"""

import base64
import secrets
from pathlib import Path

from deploy.local.paths import ROOT
from libs.common.events.topics import SERVICES

FOLDER = ROOT / ".secrets"


def write(folder: Path = FOLDER) -> list[str]:
    """Write missing files; returns their names."""
    folder.mkdir(mode=0o700, exist_ok=True)
    written: list[str] = []

    def keep(name: str, value: str) -> str:
        file = folder / name
        if not file.exists():
            file.write_text(value, encoding="utf-8")
            file.chmod(0o444)
            written.append(name)
        return file.read_text(encoding="utf-8")

    keep("postgres_password", secrets.token_urlsafe(24))
    for service in SERVICES:
        password = keep(f"{service}_database_password", secrets.token_urlsafe(24))
        keep(f"{service}_database_url", f"postgresql://{service}:{password}@postgres:5432/{service}")
        keep(f"{service}_personal_data_keys", secrets.token_urlsafe(32))
        password = keep(f"{service}_owner_password", secrets.token_urlsafe(24))
        keep(f"{service}_migration_url", f"postgresql://{service}_owner:{password}@postgres:5432/{service}")
    storefront = keep("storefront_key", secrets.token_urlsafe(24))
    ops = keep("ops_key", secrets.token_urlsafe(24))
    keep("api_keys", f"storefront:{storefront},ops:{ops}")
    keep("link_secrets", secrets.token_urlsafe(32))
    keep("address_key", secrets.token_urlsafe(32))
    for name in ("webhook_secrets", "bounce_webhook_secret"):
        keep(name, "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode())
    for name in ("shopify_secrets", "evidence_s3_access_key", "evidence_s3_secret_key"):
        keep(name, secrets.token_urlsafe(24))
    return written


if __name__ == "__main__":
    print(f"{FOLDER.name}/: " + (", ".join(write()) or "complete"))
