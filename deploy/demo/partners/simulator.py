"""All partners and the customers in one process, as `make demo` runs them.

They reach the services and each other by HTTP, mail and Kafka only. One process starts faster than six and uses less
CPU while idle; each can also run alone (`python -m deploy.demo.partners.warehouse`).
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
from deploy.demo.partners.customers import customers
from deploy.demo.partners.partner import PartnerTask, main, run_partners, serve
from deploy.demo.partners.payment import payment_provider
from deploy.demo.partners.settings import CustomersSettings, PartnerSettings, StaffSettings, StorefrontSettings
from deploy.demo.partners.staff_simulator import staff
from deploy.demo.partners.storefront import storefront
from deploy.demo.partners.warehouse import warehouse
from libs.common.config.settings import load


class SimulatorSettings(PartnerSettings):
    """The settings of all partners, with unique names."""

    intake_url: str
    returns_url: str
    loyalty_url: str
    notices_url: str
    mail_url: str
    storefront_key: SecretStr
    ops_key: SecretStr
    mail_key: SecretStr | None = None
    orders: Path | None = None
    orders_count: int = 1_000_000
    report_share: float = 0.25
    always_wait: bool = False


async def start_partners(settings: SimulatorSettings, stack: AsyncExitStack) -> list[PartnerTask]:
    common = settings.model_dump(include=set(PartnerSettings.model_fields))
    store = StorefrontSettings(
        **common,
        intake_url=settings.intake_url,
        loyalty_url=settings.loyalty_url,
        notices_url=settings.notices_url,
        api_key=settings.storefront_key,
        orders=settings.orders,
        orders_count=settings.orders_count,
        report_share=settings.report_share,
    )
    readers = CustomersSettings(
        **common,
        mail_url=settings.mail_url,
        public_url=settings.notices_url,
        pages_url=settings.intake_url,
        mail_key=settings.mail_key,
        always_wait=settings.always_wait,
    )
    desk = StaffSettings(
        **common, returns_url=settings.returns_url, intake_url=settings.intake_url, api_key=settings.ops_key
    )
    return [
        await stack.enter_async_context(storefront(store)),
        warehouse(PartnerSettings(**common)),
        courier(PartnerSettings(**common)),
        payment_provider(PartnerSettings(**common)),
        await stack.enter_async_context(customers(readers)),
        await stack.enter_async_context(staff(desk)),
    ]


def routes(tasks: list[PartnerTask]) -> list[BaseRoute]:
    """The routes of each partner under its name, and the status of all."""

    async def status(request: Request) -> JSONResponse:
        found: dict[str, Any] = {job.partner.name: job.partner.status() for job in tasks}
        return JSONResponse(found)

    each: list[BaseRoute] = [Mount(f"/{job.partner.name}", routes=job.partner.routes) for job in tasks]
    return [Route("/status", status), Route("/health/ready", status), *each]


async def run() -> None:
    settings = load(SimulatorSettings)
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        partner_tasks = await start_partners(settings, stack)
        tasks.create_task(run_partners(settings, partner_tasks))
        tasks.create_task(serve(settings, routes(partner_tasks)))


if __name__ == "__main__":
    main(run)
