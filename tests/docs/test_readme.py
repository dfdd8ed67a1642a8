"""Check of the README and of the page about erasure: commands, links, and snippets run against the real system."""

import asyncio
import os
import re
import shlex
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
import uvicorn
from aiokafka.admin import AIOKafkaAdminClient

from deploy.local.ports import free_port
from libs.common.events.topics import SERVICES
from tests.conftest import MakeDatabase
from tests.journey.backbone import ADDRESS, CONTACT, backbone
from tests.running import API_KEYS, Live, eventually

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
JAPANESE = (ROOT / "README.ja.md").read_text(encoding="utf-8")
ERASURE = (ROOT / "docs" / "how-to" / "erase-a-customer.md").read_text(encoding="utf-8")


def snippet(name: str) -> str:
    """Return the Python block whose first line names this file."""
    found = [block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if block.startswith(f"# {name}")]
    assert len(found) == 1
    return str(found[0])


def test_every_make_command_it_names_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE))
    assert {"demo", "test"} <= named <= targets


def test_every_file_it_links_to_is_there() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert len(links) > 10
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_japanese_page_has_the_same_snippets_and_diagram() -> None:
    blocks = re.compile(r"```(?:python|mermaid)\n.*?```", re.DOTALL)
    assert blocks.findall(JAPANESE) == blocks.findall(README)
    assert set(re.findall(r"\]\((docs/[^)]+)\)", JAPANESE)) == set(re.findall(r"\]\((docs/[^)]+)\)", README))


def test_it_stays_short() -> None:
    assert len(README.splitlines()) <= 150


@asynccontextmanager
async def served(live: Live) -> AsyncIterator[str]:
    """Serve the application on a free port, for clients of other processes."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(live.app, port=port, lifespan="off", log_level="warning"))
    task = asyncio.create_task(server.serve())

    async def started() -> bool:
        return server.started

    await eventually(started, "the service listens")
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


@pytest.mark.timeout(180)
async def test_its_storefront_and_warehouse_snippets_bring_a_replacement_to_its_door(
    database: MakeDatabase, kafka: str, topics: str, tmp_path: Path
) -> None:
    async with backbone(database, kafka, topics, tmp_path) as shop, served(shop.intake) as intake_url:
        env = {
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": kafka,
            "KAFKA_TOPIC_PREFIX": topics,
            "INTAKE_URL": intake_url,
            "API_KEY": API_KEYS.partition(",")[0].partition(":")[2],
            "ORDER_ID": f"order-{uuid4().hex[:8]}",
        }
        (tmp_path / "storefront.py").write_text(snippet("storefront.py"), encoding="utf-8")
        (tmp_path / "warehouse.py").write_text(snippet("warehouse.py"), encoding="utf-8")
        run = [sys.executable, "-m", "faststream", "run", "warehouse:app", "--app-dir", str(tmp_path)]
        warehouse = await asyncio.create_subprocess_exec(*run, env=env, cwd=tmp_path)
        try:
            # It reads from the latest record on, so that an order from before it joined is not answered.
            await eventually(lambda: _groups_with(kafka, topics + "warehouse.picking"), "it has joined", seconds=90)
            storefront = await asyncio.create_subprocess_exec(
                sys.executable, "storefront.py", env=env, cwd=tmp_path, stdout=asyncio.subprocess.PIPE
            )
            printed = (await storefront.communicate())[0].decode()
            assert printed.startswith("202 "), printed
            shipped = await shop.wait_for("issue.replacement_shipped", order_id=env["ORDER_ID"])
            assert len(shipped["data"]["tracking_number"]) == 12, "the number that the warehouse stated"
        finally:
            warehouse.terminate()
            await warehouse.wait()


async def _groups_with(kafka: str, name: str) -> bool:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        return name in [group for group, *_ in await admin.list_consumer_groups()]
    finally:
        await admin.close()


def commands(page: str) -> list[str]:
    """Return the lines of the first code block of a page, without comments."""
    block = page.partition("```\n")[2].partition("```")[0]
    return [line.partition("  #")[0] for line in block.splitlines()]


async def typed(line: str, folder: Path, **env: str) -> tuple[int | None, str]:
    """Run this line in a shell in this folder, without an installed launcher; return the exit code and the output."""
    line = re.sub(r"^sakidashi ", "python -m deploy.cli ", line)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    shell = await asyncio.create_subprocess_shell(
        line, cwd=folder, env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), **env},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    printed = (await shell.communicate())[0].decode()
    return shell.returncode, printed


@pytest.mark.timeout(180)
async def test_the_commands_of_the_page_erase_a_customer_and_verify_it(
    database: MakeDatabase, kafka: str, topics: str, tmp_path: Path
) -> None:
    erase, verify = commands(ERASURE)
    words = shlex.split(erase)
    customer = words[words.index("--customer") + 1]
    for name in ("logs", "spans"):
        (tmp_path / name).mkdir()
    (tmp_path / "facts").write_text(f"{CONTACT.name}\n{CONTACT.email}\n{ADDRESS.street}\n", encoding="utf-8")
    async with backbone(database, kafka, topics, tmp_path / "photos") as shop:
        await shop.place_order("order-1", customer_id=customer)
        urls = " ".join(getattr(shop, name).service.settings.database_url for name in SERVICES)
        code, printed = await typed(verify, tmp_path, DATABASE_URLS=urls)
        assert (code, "table contacts" in printed) == (1, True), printed
        code, printed = await typed(erase, tmp_path, KAFKA_BOOTSTRAP_SERVERS=kafka, KAFKA_TOPIC_PREFIX=topics)
        assert (code, printed.startswith(f"{customer}: erased by")) == (0, True), printed
        assert await typed(verify, tmp_path, DATABASE_URLS=urls) == (0, "nothing found of 3 term(s)\n")
