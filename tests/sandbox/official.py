"""Compares the sandbox's answers with the official OpenAPI document, and lists the accepted differences."""

import re
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest
from openapi_core.exceptions import OpenAPIError
from openapi_core.testing import MockRequest, MockResponse

from tests.data.digital_river import api, payloads
from tests.data.openapi import api_document

HOST = "https://api.digitalriver.com"


def samples(kind: str) -> list[Any]:
    """Payloads with the structure of printed ones, as pytest parameters named like their files."""
    return [pytest.param(payload, id=name) for name, payload in payloads(kind).items()]


class Difference(NamedTuple):
    """An accepted complaint of the document: where, what it says (a pattern), and why we keep our answer."""

    path: str
    complaint: str
    reason: str


DIFFERENCES = (
    Difference(
        r"/events.*",
        r"'pendingWebhooks' is a required property",
        "required by the document, in none of the printed events",
    ),
    Difference(
        r"/events.*",
        r"'digitalriverVersion' is a required property",
        "the printed invoice and credit memo events carry versionIds instead",
    ),
    Difference(
        r"/(sources|customers|orders)(/.*)?",
        r"'\w+' is not one of \['creditCard'",
        "printed sources have types outside the enum (payco, fpxOnlineBanking, alipayCn…), and more may come",
    ),
    Difference(
        r"/(sources|customers)(/.*)?",
        r"'pending' is not one of \['pending_funds'",
        "the printed payPalBilling source is pending",
    ),
    Difference(
        r"/refunds(/.*)?",
        r"'pending_information' is not one of \['pending', 'complete', 'failed'\]",
        "the printed refund shows its own state on the charge, too",
    ),
)
# Answers the document cannot judge: it models the content as JSON and knows no public links.
_UNJUDGED = re.compile(r"/files/[^/]+/content|/links/.*|/_sandbox.*")


class OfficialDocument:
    """Judging one answer takes about a millisecond."""

    def __init__(self) -> None:
        self.raw = api()
        self._judge = api_document()

    def complaints(self, response: httpx.Response) -> list[str]:
        """What the document finds wrong with an answer, beyond the accepted differences."""
        url = urlsplit(str(response.request.url))
        if _UNJUDGED.fullmatch(url.path):
            return []
        asked = MockRequest(HOST, response.request.method.lower(), url.path)
        answered = MockResponse(
            response.content,
            response.status_code,
            content_type=response.headers.get("content-type", "application/json"),
        )
        try:
            self._judge.validate_response(asked, answered)
        except OpenAPIError as error:
            found = getattr(error.__cause__, "schema_errors", None)
            texts = [one.message for one in found] if found else [f"{type(error).__name__}: {error}"]
            return [text for text in texts if not _is_accepted(url.path, text)]
        return []

    def documents(self, method: str, path: str) -> bool:
        return method.lower() in self.raw["paths"].get(path, {})


def _is_accepted(path: str, complaint: str) -> bool:
    return any(
        re.fullmatch(difference.path, path) and re.search(difference.complaint, complaint)
        for difference in DIFFERENCES
    )
