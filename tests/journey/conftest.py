"""One running system for all cases of a module: each case has an order and a customer of its own."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from deploy.local.mailbox import Mailbox, mailbox
from libs.common.messaging.create_topics import create_topics
from tests.conftest import delete_topics, made_databases, new_topic_prefix
from tests.intake.storefronts.calls import SETTINGS
from tests.journey.backbone import Backbone, backbone


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mails() -> AsyncIterator[Mailbox]:
    async with mailbox() as box:
        yield box


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(kafka: str, mails: Mailbox, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Backbone]:
    prefix = new_topic_prefix()
    await create_topics(kafka, prefix, partitions=6)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(delete_topics, kafka, prefix)
        database = await stack.enter_async_context(made_databases())
        folder = tmp_path_factory.mktemp("evidence")
        yield await stack.enter_async_context(
            backbone(database, kafka, prefix, folder, mails.url, own={"intake": SETTINGS})
        )
