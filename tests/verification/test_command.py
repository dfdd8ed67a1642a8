"""`python -m deploy.verification` audits a system named by the environment; its exit code shows violations."""

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import replace

import asyncpg
import pytest
import typer

from deploy.database_urls import databases
from deploy.local.paths import ROOT
from deploy.verification.auditor import truncated_topics
from libs.common.events.topics import SERVICES
from tests.conftest import MakeDatabase
from tests.verification.histories import valid_history


def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "deploy.verification", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


async def test_it_exits_with_1_on_a_violation_and_prints_it(database: MakeDatabase, kafka: str, topics: str) -> None:
    urls = {service: await database(service) for service in SERVICES}
    environment = {
        "DATABASE_URLS": " ".join(f"{service}={url}" for service, url in urls.items()),
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "KAFKA_TOPIC_PREFIX": topics,
    }
    clean = await asyncio.to_thread(run, **environment)
    assert clean.returncode == 0, clean.stderr
    assert "nothing_lost: 0 violations\n" in clean.stdout
    assert "personal_data: insufficient data: no order names a person\n" in clean.stdout

    conn = await asyncpg.connect(urls["returns"])
    await conn.execute("INSERT INTO outbox (topic, key, value) VALUES ('issues', 'k', '{}')")
    await conn.close()
    violated = await asyncio.to_thread(run, "--json", **environment)
    assert violated.returncode == 1, violated.stderr
    assert json.loads(violated.stdout)["nothing_lost"][0]["description"] == "returns: 1 rows left in outbox"


def test_a_database_is_recognised_by_its_name_or_by_its_prefix() -> None:
    urls = "postgresql://u:p@db/intake returns=postgresql://u:p@db/shop?sslmode=require"
    assert databases(urls) == {
        "intake": "postgresql://u:p@db/intake",
        "returns": "postgresql://u:p@db/shop?sslmode=require",
    }


@pytest.mark.parametrize("urls", ["", "postgresql://u:p@db/shop", "warehouse=postgresql://u:p@db/intake2"])
def test_an_unknown_database_is_refused(urls: str) -> None:
    with pytest.raises(typer.BadParameter):
        databases(urls)


def test_a_topic_that_lost_its_first_records_is_named() -> None:
    history = valid_history().history()
    whole = replace(history, facts=[replace(fact, offset=0) for fact in history.facts])
    assert truncated_topics(whole) == []
    facts = [fact if fact.topic != "issues" else replace(fact, offset=fact.offset + 9) for fact in whole.facts]
    assert truncated_topics(replace(whole, facts=facts)) == ["issues"]
