"""Writes the secrets that `docker-compose.yml` mounts: random, one file each, outside version control.

Secrets that only the shop has (of its Shopify app, of its bucket) are random too until they are replaced: nothing is
accepted or reached with them. The mail server is the one of `docker-compose.yml`, which keeps all mails. Other
accounts cannot enter the folder; the files in it are readable, since containers read them with another account than the
one that wrote them. Existing files are kept: a database keeps its first passwords.
"""

import base64
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from deploy.local.paths import ROOT
from libs.common.events.topics import ALL_SERVICES

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
    for service in ALL_SERVICES:
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
    certificate, key = _own_certificate()
    if not (folder / "proxy_key").exists():
        keep("proxy_key", key)
        keep("proxy_certificate", certificate)
    for name in ("webhook_secrets", "bounce_webhook_secret"):
        keep(name, "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode())
    keep("smtp_url", "smtp://mail:1025")
    for name in ("shopify_secrets", "oidc_client_secret", "evidence_s3_access_key", "evidence_s3_secret_key"):
        keep(name, secrets.token_urlsafe(24))
    return written


def _own_certificate() -> tuple[str, str]:
    """Return a certificate for localhost that signs itself, and its key, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=825))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return certificate.public_bytes(pem).decode(), key.private_bytes(pem, form, plain).decode()


if __name__ == "__main__":
    print(f"{FOLDER.name}/: " + (", ".join(write()) or "complete"))
