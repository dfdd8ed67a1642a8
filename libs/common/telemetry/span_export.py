"""OTLP exporter of spans that were encoded when they ended (`span_encoding`).

Endpoint, headers, retries and timeouts are those of the SDK's exporter, queue and thread those of its batch processor.
`_client` is not public: revise this module when it moves.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from libs.common.telemetry.span_encoding import SCOPE, EncodedSpan, encode_request

if TYPE_CHECKING:
    from requests import Session


class OtlpSpanExporter(OTLPSpanExporter):
    """Exports encoded spans of one resource."""

    def __init__(self, resource: Resource, endpoint: str, session: "Session") -> None:
        super().__init__(endpoint=endpoint, session=session)
        self._resource = resource

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        messages = [span.message for span in spans if isinstance(span, EncodedSpan)]
        result = self._client.export(encode_request(self._resource, SCOPE, messages))
        return SpanExportResult.SUCCESS if result.success else SpanExportResult.FAILURE
