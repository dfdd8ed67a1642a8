"""Takes OTLP over HTTP and throws it away: what traces cost the services, and not what they cost a collector.

python -m tests.bench.trace_sink    # on HTTP_PORT; GET /health/ready answers how many bytes came
"""

import os
from typing import Any

import uvicorn

_came = {"bytes": 0}


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Any POST is taken whole and answered with an empty message, which is what OTLP calls success."""
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
