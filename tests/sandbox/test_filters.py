"""Every list accepts every parameter that the official document gives it."""

import json
from typing import Any

import pytest

from tests.data import digital_river
from tests.support.api_client import ApiClient

# Each parameter of each list; test_lists.py shows the filters at work.
pytestmark = pytest.mark.proof

LISTS = (
    "/orders",
    "/customers",
    "/tax-identifiers",
    "/refunds",
    "/fulfillments",
    "/files",
    "/file-links",
    "/events",
)
MOMENT = "2020-01-01T00:00:00Z"
# Not just any text; the document calls the refunded amount a text.
VALUES = {"limit": "5", "refundedAmount": "1"}
CURSORS = {"startingAfter", "endingBefore"}


def documented() -> list[Any]:
    """(list, parameter as it is written in a query, value)."""
    paths = digital_river.api()["paths"]
    return [
        pytest.param(name, *question, id=f"{name}?{question[0]}")
        for name in LISTS
        for parameter in paths[name]["get"]["parameters"]
        if parameter["name"] not in CURSORS
        for question in _questions(parameter)
    ]


def _questions(parameter: dict[str, Any]) -> list[tuple[str, str]]:
    name, schema = parameter["name"], parameter["schema"]
    if parameter.get("style") == "deepObject":
        is_moment = "date-time" in json.dumps(schema)
        value = MOMENT if is_moment else "1"
        return [(f"{name}[{comparator}]", value) for comparator in ("gt", "gte", "lt", "lte")]
    if schema.get("type") == "boolean":
        return [(name, "true")]
    return [(name, MOMENT if schema.get("format") == "date-time" else VALUES.get(name, "some"))]


@pytest.mark.parametrize(("path", "parameter", "value"), documented())
async def test_a_documented_parameter_is_understood(
    api: ApiClient, path: str, parameter: str, value: str
) -> None:
    response = await api.client.get(path, params={parameter: value})
    assert response.status_code == 200, response.text
