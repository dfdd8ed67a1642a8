"""Makes the secrets that `docker-compose.yml` mounts: random, one file each, outside version control.

The folder is closed to other accounts; the files in it are readable, because inside a container they are read by
another account than the one that made them. What is there is kept: the database keeps its first passwords.
"""

import secrets
from pathlib import Path

from deploy.local.places import ROOT
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
    storefront = keep("storefront_key", secrets.token_urlsafe(24))
    ops = keep("ops_key", secrets.token_urlsafe(24))
    keep("api_keys", f"storefront:{storefront},ops:{ops}")
    keep("link_secrets", secrets.token_urlsafe(32))
    return written


if __name__ == "__main__":
    print(f"{FOLDER.name}/: " + (", ".join(write()) or "all there already"))
