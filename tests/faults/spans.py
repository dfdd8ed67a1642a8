"""A span collector for fault runs. Of each trace only its beginning is kept: the traces that its first
span links to."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from deploy.local.ports import LOOPBACK

_THANKS = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

Roots = dict[str, set[str]]
"""By trace id, the ids of the linked traces. A trace whose first span was lost is missing."""


@asynccontextmanager
async def span_sink(roots: Roots) -> AsyncIterator[str]:
    """Listen for the length of the block; yields the endpoint."""

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            body = await reader.readexactly(int(head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0] or 0))
            if head.startswith(b"post /v1/traces"):
                _keep(roots, gzip.decompress(body) if b"content-encoding: gzip" in head else body)
            writer.write(_THANKS)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(take, LOOPBACK, 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http://{LOOPBACK}:{port}"
    finally:
        server.close()


def _keep(roots: Roots, body: bytes) -> None:
    request = ExportTraceServiceRequest.FromString(body)
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                if not span.parent_span_id:
                    links = {link.trace_id.hex() for link in span.links}
                    roots.setdefault(span.trace_id.hex(), set()).update(links)
