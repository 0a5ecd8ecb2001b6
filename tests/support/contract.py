"""Every call to Twilio in a test passes here: our request and the fake's answer are held to Twilio's contract.

The contract is `tests/data/twilio/messages.strict.openapi.json`, made from Twilio's published specification.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from openapi_core import OpenAPI
from openapi_core.exceptions import OpenAPIError
from openapi_core.testing import MockRequest, MockResponse
from twilio.http.response import Response

from nudges.channels.twilio_http import GuardedHttpClient, is_loopback
from tests.support.fake_twilio.behaviour import OFF_CONTRACT

SPECIFICATION = Path(__file__).parents[1] / "data" / "twilio" / "messages.strict.openapi.json"
_FORM = "application/x-www-form-urlencoded"


class ContractBroken(AssertionError):
    """A request or an answer that Twilio's specification does not allow."""


@cache
def contract() -> OpenAPI:
    """The parsed contract; loading costs a third of a second, so once a process."""
    return OpenAPI.from_dict(json.loads(SPECIFICATION.read_text(encoding="utf-8")))


@cache
def _operations() -> dict[tuple[str, bool], dict[str, Any]]:
    """Operations by method and by whether the path names one message."""
    paths = json.loads(SPECIFICATION.read_text(encoding="utf-8"))["paths"]
    return {
        (method, "{Sid}" in path): item
        for path, items in paths.items()
        for method, item in items.items()
        if method in {"get", "post", "delete"}
    }


class ContractHttpClient(GuardedHttpClient):
    """The product's own HTTP client, with both directions checked. Raises ContractBroken."""

    def request(
        self,
        method: str,
        url: str,
        params: dict[str, object] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        if not is_loopback(urlsplit(self.endpoint.target(url)).hostname):
            raise ContractBroken("a test tried to call a host that is not this machine")
        request = _described(method, url, params, data, headers, auth)
        check_names(request, params, data)
        _check(lambda: contract().validate_request(request))
        response = super().request(method, url, params, data, headers, auth, timeout, allow_redirects)
        if OFF_CONTRACT not in response.headers:
            check_answer(request, response)
        return response


def check_names(request: MockRequest, params: dict[str, object] | None, data: dict[str, object] | None) -> None:
    """Refuse names that the specification lacks: openapi-core lets unknown form and query names pass."""
    operation = _operations()[(request.method, "/Messages/" in request.path)]
    fields = operation.get("requestBody", {}).get("content", {}).get(_FORM, {}).get("schema", {})
    queries = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "query"}
    unknown = (set(data or {}) - set(fields.get("properties", {}))) | (set(request.parameters.query) - queries)
    if unknown:
        raise ContractBroken(f"{operation['operationId']} has no parameter {', '.join(sorted(unknown))}")


def check_answer(request: MockRequest, response: Response) -> None:
    kind = response.headers.get("Content-Type", "")
    check_written(request, response.status_code, response.text.encode(), dict(response.headers), kind)


def check_written(request: MockRequest, status: int, body: bytes, headers: dict[str, str], kind: str) -> None:
    """Hold an answer to the contract. Raises ContractBroken."""
    answer = MockResponse(body, status_code=status, headers=headers, content_type=kind)
    _check(lambda: contract().validate_response(request, answer))


def received(method: str, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> MockRequest:
    """A request as a server gets it, whoever sent it."""
    kept = {"Authorization": headers["Authorization"]} if "Authorization" in headers else {}
    return _described(method, url, None, dict(form), kept, None)


def check_received(request: MockRequest, form: Mapping[str, str]) -> None:
    """Hold a request that the server takes to the contract. Raises ContractBroken."""
    check_names(request, None, dict(form))
    _check(lambda: contract().validate_request(request))


def _check(validate: Any) -> None:
    try:
        validate()
    except OpenAPIError as error:
        details = "; ".join(str(each.message) for each in getattr(error.__cause__, "schema_errors", ()))
        raise ContractBroken(f"{error}: {details or error.__cause__}") from error


def _described(
    method: str,
    url: str,
    params: dict[str, object] | None,
    data: dict[str, object] | None,
    headers: dict[str, str] | None,
    auth: tuple[str, str] | None,
) -> MockRequest:
    parts = urlsplit(url)
    sent = dict(headers or {}) | ({"Authorization": "Basic " + ":".join(auth)} if auth else {})
    query = dict(parse_qsl(parts.query)) | {name: str(value) for name, value in (params or {}).items()}
    return MockRequest(
        f"{parts.scheme}://{parts.netloc}",
        method,
        parts.path,
        args=query,
        headers=sent,
        data=urlencode(data or {}).encode(),
        content_type=_FORM,
    )
