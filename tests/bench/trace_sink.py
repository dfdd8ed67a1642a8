"""Accepts OTLP over HTTP and discards it, to measure the cost of tracing in the services alone.

python -m tests.bench.trace_sink    # on HTTP_PORT; GET /health/ready returns the number of bytes received
"""

import os
from typing import Any

import uvicorn

_came = {"bytes": 0}


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Read any POST and answer with an empty message, which is success in OTLP."""
    while scope["type"] == "http":
        part = await receive()
        _came["bytes"] += len(part.get("body", b""))
        if not part.get("more_body"):
            break
    body = b"" if scope["method"] == "POST" else str(_came["bytes"]).encode()
    kind = b"application/x-protobuf" if scope["method"] == "POST" else b"text/plain"
    head = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["HTTP_PORT"]), log_level="warning", lifespan="off")
