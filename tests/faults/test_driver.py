"""The driver of a fault run takes an answer as final only if it can be read."""

import httpx
import pytest

from tests.faults.driver import code_of


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (httpx.Response(202, json={"issue_id": "I"}), ""),
        (httpx.Response(409, json={"code": "still_running"}), "still_running"),
        (httpx.Response(400, text="Invalid HTTP request received."), None),
        (httpx.Response(404, content=b""), None),
        (httpx.Response(200, json=["I"]), None),
    ],
)
def test_an_answer_without_a_json_object_has_no_code_and_settles_nothing(
    answer: httpx.Response, code: str | None
) -> None:
    assert code_of(answer) == code
