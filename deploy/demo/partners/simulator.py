"""All partners and the customers in one process, as `make demo` runs them.

They still meet the services, and each other, by nothing but HTTP, mail and Kafka. One process starts faster than six
and costs the machine less while it waits; each can run alone too (`python -m deploy.demo.partners.warehouse`).
"""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Mount, Route

from deploy.demo.partners.courier import courier
from deploy.demo.partners.customers import people
from deploy.demo.partners.partner import Job, main, serve
from deploy.demo.partners.payment import payment
from deploy.demo.partners.settings import CustomersSettings, OpsSettings, PartnerSettings, StorefrontSettings
from deploy.demo.partners.staff_simulator import staff
from deploy.demo.partners.storefront import shop
from deploy.demo.partners.warehouse import warehouse
from libs.common.config.settings import load


class TownSettings(PartnerSettings):
    """What each of them needs, under names that do not collide."""

    intake_url: str
    returns_url: str
    loyalty_url: str
    notices_url: str
    mail_url: str
    storefront_key: SecretStr
    ops_key: SecretStr
    orders: Path | None = None
    report_share: float = 0.25
    patient: bool = False


async def jobs(town: TownSettings, stack: AsyncExitStack) -> list[Job]:
    common = town.model_dump(include=set(PartnerSettings.model_fields))
    store = StorefrontSettings(
        **common,
        intake_url=town.intake_url,
        loyalty_url=town.loyalty_url,
        notices_url=town.notices_url,
        api_key=town.storefront_key,
        orders=town.orders,
        report_share=town.report_share,
    )
    readers = CustomersSettings(
        **common, mail_url=town.mail_url, public_url=town.notices_url, pages_url=town.intake_url, patient=town.patient
    )
    desk = OpsSettings(**common, returns_url=town.returns_url, intake_url=town.intake_url, api_key=town.ops_key)
    return [
        await stack.enter_async_context(shop(store)),
        warehouse(PartnerSettings(**common)),
        courier(PartnerSettings(**common)),
        payment(PartnerSettings(**common)),
        await stack.enter_async_context(people(readers)),
        await stack.enter_async_context(staff(desk)),
    ]


def routes(jobs: list[Job]) -> list[BaseRoute]:
    """Those of each under its name, and how it is with all of them."""

    async def status(request: Request) -> JSONResponse:
        found: dict[str, Any] = {job.partner.name: job.partner.status() for job in jobs}
        return JSONResponse(found)

    each: list[BaseRoute] = [Mount(f"/{job.partner.name}", routes=job.partner.routes) for job in jobs]
    return [Route("/status", status), Route("/health/ready", status), *each]


async def run() -> None:
    town = load(TownSettings)
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        working = await jobs(town, stack)
        for job in working:
            tasks.create_task(job.partner.work(job.listen))
        tasks.create_task(serve(town, routes(working)))


if __name__ == "__main__":
    main(run)
