"""Apache Kafka from its jars: downloaded once, formatted once, started within two seconds after that.

Formatting a data folder needs a second Java start, and its result does not depend on ports (the quorum is configured in
the settings), so the formatted folder is kept and copied, and with it the archive of the classes that
a broker loads (half the CPU time of a start). After SIGKILL a start takes `broker.session.timeout.ms`
longer, since the broker waits until its previous registration expires.
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

from deploy.local.command_line import CommandError
from deploy.local.kafka_probe import responds
from deploy.local.managed_process import ManagedProcess
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
class ExtraListener:
    """An additional listener: the broker listens on `port` and advertises `advertised` to its clients.

    With a proxy on `advertised`, the clients of this listener can be cut off without affecting others.
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
    match = re.search(r'version "(\d+)', answer)
    return int(match[1]) if match else 0


def version() -> str:
    """The version that the pom pins."""
    match = re.search(r"<artifactId>kafka_[^<]+</artifactId>\s*<version>([^<]+)<", POM.read_text(encoding="utf-8"))
    return match[1] if match else "unknown"


def is_downloaded() -> bool:
    """Return true if the jars of the pinned version are in the cache."""
    return (_jars() / ".complete").exists()


def download() -> Path:
    """The folder with the jars, downloaded from Maven Central where they are missing; only then is Maven needed. Raises
    `CommandError`.
    """
    jars = _jars()
    with _exclusive_lock():
        if not is_downloaded():
            goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={jars}"]
            _run(
                ["mvn", "-B", "-q", "-f", str(POM), *goal], "check the access to Maven Central, or set BROKER=embedded"
            )
            (jars / ".complete").touch()
    return jars


def prepare(
    folder: Path, port: int, heap_mb: int, log: Path, listeners: Sequence[ExtraListener] = ()
) -> ManagedProcess:
    """A broker on `port`, not yet started, with its settings and formatted data in `folder`."""
    settings = folder / "server.properties"
    data = folder / "data"
    text = settings_text(port, kept_port(), data, listeners)
    settings.write_text(text, encoding="utf-8")
    shutil.copytree(formatted_data(), data)
    return ManagedProcess("kafka (apache)", [*broker_of(heap_mb), settings], log=log)


def broker_of(heap_mb: int) -> list[str]:
    """The command of a broker but for its settings file."""
    shared = _shared_classes()
    return [*java_command(heap_mb), *([f"-XX:SharedArchiveFile={shared}"] if shared.exists() else []), "kafka.Kafka"]


def settings_text(port: int, controller: int, data: Path, listeners: Sequence[ExtraListener] = ()) -> str:
    """The broker's settings file: `SETTINGS` with these values."""
    return SETTINGS.format(
        host=LOOPBACK,
        port=port,
        controller=controller,
        data=data,
        door_listeners="".join(f",{door.name}://{LOOPBACK}:{door.port}" for door in listeners),
        advertised_doors="".join(f",{door.name}://{LOOPBACK}:{door.advertised}" for door in listeners),
        door_protocols="".join(f",{door.name}:PLAINTEXT" for door in listeners),
    )


def formatted_data() -> Path:
    """A data folder formatted by the storage tool."""
    keep = download() / "formatted"
    with _exclusive_lock():
        if not (keep / "meta.properties").exists():
            settings = keep.parent / "format.properties"
            settings.write_text(settings_text(1, 2, keep), encoding="utf-8")
            tool = ["kafka.tools.StorageTool", "format", "--cluster-id", "c2FraWRhc2hpLWxvY2FsLQ"]
            command = [*java_command(256), *tool, "--config", str(settings)]
            _run(command, f"remove {CACHE / 'kafka'} to download it again, or set BROKER=embedded")
    return keep


def _shared_classes() -> Path:
    """The archive of a broker's classes, which the JVM writes when the first broker on these jars ends in order."""
    keep, part = _jars() / "classes.jsa", _jars() / "classes.part"
    formatted = formatted_data()
    with _exclusive_lock():
        if not keep.exists():
            with run_folder("kafka") as folder:
                port, settings = kept_port(), folder / "server.properties"
                settings.write_text(settings_text(port, kept_port(), folder / "data"), encoding="utf-8")
                shutil.copytree(formatted, folder / "data")
                command = [*java_command(256), f"-XX:ArchiveClassesAtExit={part}", "kafka.Kafka", str(settings)]
                first = ManagedProcess("kafka (first start)", command, log=LOGS / "kafka.log")
                first.start()
                try:
                    first.wait_until(lambda: responds(f"{LOOPBACK}:{port}"), FIRST_START_SECONDS)
                    first.stop(FIRST_START_SECONDS)
                finally:
                    first.kill()
            if part.exists():  # a JVM that cannot write it starts as it always did
                part.rename(keep)
    return keep


def java_command(heap_mb: int) -> list[str]:
    jars = _jars()
    logging = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    memory = [
        f"-Xms{heap_mb}m",
        f"-Xmx{heap_mb}m",
        # A small, short-lived broker: the second compiler and the parallel collector of the JVM cost more CPU on two
        # cores than they save within minutes. Production settings differ, so figures are quoted with these.
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
    ]
    return ["java", *memory, "-Xshare:auto", "-Djava.awt.headless=true", logging, "-cp", f"{jars}/*"]


def _run(command: Sequence[str], remedy: str) -> None:
    """Run a command that prepares the broker. Raises `CommandError` with the last line of its output."""
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    except OSError as error:
        raise CommandError(f"{command[0]}: {error.strerror}; {remedy}") from error
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        errors = [line for line in lines if "ERROR" in line] or lines[-1:] or ["no output"]
        raise CommandError(f"{command[0]} ended with code {done.returncode}: {errors[0].strip()[:300]}; {remedy}")


def _jars() -> Path:
    """A folder per version of the pom, so that a new version needs no clean-up."""
    return CACHE / "kafka" / hashlib.sha256(POM.read_bytes()).hexdigest()[:12]


@contextmanager
def _exclusive_lock() -> Iterator[None]:
    """Several test runs may start at the same time in one work tree."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "kafka.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
