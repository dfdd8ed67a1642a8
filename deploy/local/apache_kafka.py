"""Apache Kafka from its jars: fetched once, formatted once, up in two seconds after that.

Formatting a data folder needs a second Java start, and what it writes does not depend on ports (the quorum is named in
the settings), so the formatted folder is kept and copied. The classes that a broker loads are kept too, as the JVM
shares them: the next start takes half the CPU time. After SIGKILL a start takes `broker.session.timeout.ms`
longer, because the broker waits until its former self has lost its registration.
"""

import fcntl
import hashlib
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from deploy.local.managed_process import Child
from deploy.local.paths import CACHE, LOGS, ROOT, run_folder
from deploy.local.ports import LOOPBACK, kept_port

POM = ROOT / "deploy" / "kafka" / "pom.xml"

FIRST_START_SECONDS = 120.0

SETTINGS = """\
node.id=1
process.roles=broker,controller
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}{door_listeners}
advertised.listeners=PLAINTEXT://{host}:{port}{advertised_doors}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT{door_protocols}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
controller.quorum.voters=1@{host}:{controller}
controller.quorum.election.timeout.ms=200
controller.quorum.election.backoff.max.ms=100
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
log.dirs={data}
auto.create.topics.enable=false
num.partitions=1
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
log.index.size.max.bytes=1048576
log.cleaner.dedupe.buffer.size=8388608
num.network.threads=2
num.io.threads=4
background.threads=2
"""


@dataclass(frozen=True, slots=True)
class Door:
    """One more listener: the broker listens on `port`, and tells those who come in by it to come back to `advertised`.

    With a proxy on `advertised`, whoever uses this door can be cut off without the others noticing.
    """

    name: str
    port: int
    advertised: int


@cache
def java_major() -> int:
    """The major version of `java`; 0 if there is none."""
    try:
        answer = subprocess.run(["java", "-version"], capture_output=True, text=True, check=True).stderr
    except (OSError, subprocess.CalledProcessError):
        return 0
    found = re.search(r'version "(\d+)', answer)
    return int(found[1]) if found else 0


def version() -> str:
    """The version that the pom pins."""
    found = re.search(r"<artifactId>kafka_[^<]+</artifactId>\s*<version>([^<]+)<", POM.read_text(encoding="utf-8"))
    return found[1] if found else "unknown"


def fetched() -> bool:
    """Whether the jars that the pom pins are here already."""
    return (_jars() / ".complete").exists()


def fetch() -> Path:
    """The folder with the jars, fetched from Maven Central if they are not here yet. Needs Maven only then."""
    jars = _jars()
    with _one_at_a_time():
        if not fetched():
            goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={jars}"]
            subprocess.run(["mvn", "-B", "-q", "-f", POM, *goal], check=True)
            (jars / ".complete").touch()
    return jars


def prepare(folder: Path, port: int, heap_mb: int, log: Path, doors: Sequence[Door] = ()) -> Child:
    """A broker on `port`, not yet started, whose settings and formatted data lie in `folder`."""
    settings = folder / "server.properties"
    data = folder / "data"
    text = settings_text(port, kept_port(), data, doors)
    settings.write_text(text, encoding="utf-8")
    shutil.copytree(_formatted(), data)
    return Child("kafka (apache)", [*broker_of(heap_mb), settings], log=log)


def broker_of(heap_mb: int) -> list[str]:
    """The command of a broker but for its settings file."""
    shared = _shared_classes()
    return [*java(heap_mb), *([f"-XX:SharedArchiveFile={shared}"] if shared.exists() else []), "kafka.Kafka"]


def settings_text(port: int, controller: int, data: Path, doors: Sequence[Door] = ()) -> str:
    """The broker's settings file, as `SETTINGS` with these in place."""
    return SETTINGS.format(
        host=LOOPBACK,
        port=port,
        controller=controller,
        data=data,
        door_listeners="".join(f",{door.name}://{LOOPBACK}:{door.port}" for door in doors),
        advertised_doors="".join(f",{door.name}://{LOOPBACK}:{door.advertised}" for door in doors),
        door_protocols="".join(f",{door.name}:PLAINTEXT" for door in doors),
    )


def _formatted() -> Path:
    """A data folder as the storage tool leaves it."""
    keep = fetch() / "formatted"
    with _one_at_a_time():
        if not (keep / "meta.properties").exists():
            settings = keep.parent / "format.properties"
            settings.write_text(settings_text(1, 2, keep), encoding="utf-8")
            tool = ["kafka.tools.StorageTool", "format", "--cluster-id", "c2FraWRhc2hpLWxvY2FsLQ"]
            command = [*java(256), *tool, "--config", str(settings)]
            subprocess.run(command, check=True, capture_output=True, text=True)
    return keep


def _shared_classes() -> Path:
    """The archive of a broker's classes, which the JVM writes when the first broker on these jars ends in order."""
    from deploy.local.kafka import answers

    keep, part = _jars() / "classes.jsa", _jars() / "classes.part"
    formatted = _formatted()
    with _one_at_a_time():
        if not keep.exists():
            with run_folder("kafka") as folder:
                port, settings = kept_port(), folder / "server.properties"
                settings.write_text(settings_text(port, kept_port(), folder / "data"), encoding="utf-8")
                shutil.copytree(formatted, folder / "data")
                command = [*java(256), f"-XX:ArchiveClassesAtExit={part}", "kafka.Kafka", str(settings)]
                first = Child("kafka (first start)", command, log=LOGS / "kafka.log")
                first.start()
                try:
                    first.wait_until(lambda: answers(f"{LOOPBACK}:{port}"), FIRST_START_SECONDS)
                    first.stop(FIRST_START_SECONDS)
                finally:
                    first.kill()
            if part.exists():  # a JVM that cannot write it starts as it always did
                part.rename(keep)
    return keep


def java(heap_mb: int) -> list[str]:
    jars = _jars()
    logging = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    memory = [
        f"-Xms{heap_mb}m",
        f"-Xmx{heap_mb}m",
        # A small, short-lived broker: the JVM's second compiler and its parallel collector take more of two cores
        # than they give back within minutes. Production has its own settings, so this belongs beside any figure.
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
    ]
    return ["java", *memory, "-Xshare:auto", "-Djava.awt.headless=true", logging, "-cp", f"{jars}/*"]


def _jars() -> Path:
    """Another pom, another folder: a change of version needs no clearing away."""
    return CACHE / "kafka" / hashlib.sha256(POM.read_bytes()).hexdigest()[:12]


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Several test runs may start at once in one work tree."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "kafka.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
