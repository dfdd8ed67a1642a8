"""Makes the secrets that `docker-compose.yml` mounts: random, one file each, outside version control.

What only the shop can know (the secret of its Shopify app, the keys of its bucket) is random too until it is written
over: nothing is taken or reached with it. The folder is closed to other accounts; the files in it are readable, because
inside a container they are read by another account than the one that made them. What is there is kept: the database
keeps its first passwords.
"""

import base64
import secrets
from pathlib import Path

from deploy.local.paths import ROOT
from libs.common.events.topics import SERVICES

FOLDER = ROOT / ".secrets"


def write(folder: Path = FOLDER) -> list[str]:
    """Write what is missing; gives the names of the files written."""
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
    print(f"{FOLDER.name}/: " + (", ".join(write()) or "all there already"))
