"""Kafka with SASL_SSL for its clients, and Postgres behind TLS, both on loopback with a new certificate authority.

Kafka can also enforce ACLs. Its second listener, INSIDE, is for its own requests and for tests that need full access:
its clients are anonymous and a super user.
"""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import trustme
from cryptography.hazmat.primitives import serialization

from deploy.local import apache_kafka
from deploy.local.kafka import START_SECONDS
from deploy.local.kafka_probe import responds
from deploy.local.managed_process import ManagedProcess
from deploy.local.paths import LOGS
from deploy.local.ports import LOOPBACK, free_port

USER, PASSWORD = "sakidashi", "a-password-for-this-broker-only"

_ASKS_FOR_RIGHTS = f"""\
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=false
super.users=User:ANONYMOUS;User:{USER}
"""


@dataclass(frozen=True)
class Authority:
    """A certificate authority for one test."""

    ca: trustme.CA
    server: trustme.LeafCert

    @classmethod
    def new(cls) -> "Authority":
        ca = trustme.CA()
        return cls(ca, ca.issue_cert(LOOPBACK, "localhost"))

    @property
    def pem(self) -> str:
        return self.ca.cert_pem.bytes().decode()

    def server_pem_for_java(self, path: Path) -> Path:
        """Key (PKCS 8, the only form that Kafka reads) and certificates in one file."""
        key = serialization.load_pem_private_key(self.server.private_key_pem.bytes(), None)
        pkcs8 = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.write_bytes(pkcs8 + b"".join(cert.bytes() for cert in self.server.cert_chain_pems))
        return path

    def proof(self, user: str = USER) -> dict[str, str]:
        """The settings of a client that authenticates as this user."""
        named = {"kafka_sasl_username": user, "kafka_sasl_password": PASSWORD}
        return {"kafka_security_protocol": "SASL_SSL", **named, "kafka_ca": self.pem}


@dataclass(frozen=True)
class Encrypted:
    """The address for clients, and the one without authentication."""

    address: str
    inside: str


@contextmanager
def encrypted_kafka(
    authority: Authority, folder: Path, users: Collection[str] = (), *, asks_for_rights: bool = False
) -> Iterator[Encrypted]:
    """Apache Kafka whose clients need TLS and SCRAM as USER or one of `users`, all with PASSWORD.

    With `asks_for_rights`, all but USER need ACLs.
    """
    port, inside, data = free_port(), free_port(), folder / "data"
    text = apache_kafka.settings_text(port, free_port(), data)
    text = text.replace(f"PLAINTEXT://{LOOPBACK}:{port}", f"SASL_SSL://{LOOPBACK}:{port},INSIDE://{LOOPBACK}:{inside}")
    settings = folder / "server.properties"
    secured = _secured(authority.server_pem_for_java(folder / "server.pem"))
    settings.write_text(text + secured + (_ASKS_FOR_RIGHTS if asks_for_rights else ""), encoding="utf-8")
    _format(settings, [USER, *users])
    process = ManagedProcess("kafka (encrypted)", [*apache_kafka.broker_of(256), settings], log=LOGS / "kafka.log")
    process.start()
    try:
        process.wait_until(lambda: responds(f"{LOOPBACK}:{inside}"), START_SECONDS)
        yield Encrypted(f"{LOOPBACK}:{port}", f"{LOOPBACK}:{inside}")
    finally:
        process.kill()


def _secured(keystore: Path) -> str:
    return f"""\
listener.security.protocol.map=SASL_SSL:SASL_SSL,INSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=INSIDE
sasl.enabled.mechanisms=SCRAM-SHA-512
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
"""


def _format(settings: Path, users: Collection[str]) -> None:
    apache_kafka.download()
    tool = ["kafka.tools.StorageTool", "format", "--cluster-id", "c2FraWRhc2hpLWxvY2FsLQ", "--config", str(settings)]
    known = [word for user in users for word in ("--add-scram", f"SCRAM-SHA-512=[name={user},password={PASSWORD}]")]
    subprocess.run([*apache_kafka.java_command(256), *tool, *known], check=True, capture_output=True, text=True)


_SSL_REQUEST = bytes.fromhex("0000000804d2162f")
"""A Postgres client's request for TLS ("SSLRequest", Postgres documentation 54.7)."""


@asynccontextmanager
async def postgres_behind_tls(authority: Authority, url: str) -> AsyncIterator[str]:
    """`url` through a TLS terminator that rejects clients without TLS: the wheel's Postgres has none."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.server.configure_cert(tls)
    behind = urlsplit(url)
    place = f"{behind.hostname}:{behind.port}"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            if await reader.readexactly(len(_SSL_REQUEST)) == _SSL_REQUEST:
                writer.write(b"S")
                await writer.start_tls(tls)
                to_read, to_write = await asyncio.open_connection(behind.hostname, behind.port)
                await asyncio.gather(_pump(reader, to_write), _pump(to_read, writer))
        writer.close()

    async with await asyncio.start_server(serve, LOOPBACK, 0) as server:
        yield url.replace(place, f"{LOOPBACK}:{server.sockets[0].getsockname()[1]}")


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(65_536):
            sink.write(data)
            await sink.drain()
    sink.close()
