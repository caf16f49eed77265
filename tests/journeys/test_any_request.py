"""The answer to any request is one that the OpenAPI document declares, and never a 500."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.security.matrix import ENTRIES, OWNER, CaseContext
from tests.support.openapi import operations
from tests.support.portal import Portal, published_document
from tests.support.sandbox import Sandbox

pytestmark = pytest.mark.proof

DOCUMENT = published_document()
# As many as all operations together can have in a few seconds.
EXAMPLES = 16
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    ignored_auth,
]


async def things(context: CaseContext, operation: str) -> Mapping[str, str]:
    """Ids of things that exist, so that not every random request ends at 404."""
    if operation not in ENTRIES:
        return {}
    return {**await ENTRIES[operation].prepare(context), "customerId": "me"}


@pytest.mark.parametrize("operation", operations(DOCUMENT))
async def test_any_request_gets_a_declared_answer(operation: str, portal: Portal, sandbox: Sandbox) -> None:
    token = await sandbox.token(OWNER, scopes=["portal:ops"] if "/ops/" in operation else [])
    real = await things(CaseContext(portal, sandbox, token), operation)
    method, path = operation.split()
    described: Any = schemathesis.openapi.from_dict(DOCUMENT)[path][method]
    fitting, unfit = (described.as_strategy(generation_mode=mode) for mode in GenerationMode)

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=fitting | unfit, is_real=st.sampled_from([True, True, True, False]))
    def send(case: Any, is_real: bool) -> None:
        if is_real:
            case.path_parameters.update((name, real[name]) for name in case.path_parameters if name in real)
            if isinstance(case.body, dict):
                case.body.update((name, real[name]) for name in case.body if name in real)
            case.headers.update((name, "*") for name in case.headers if name.lower() == "if-match")
        case.call_and_validate(base_url=portal.url, headers=dict(token), checks=CHECKS, allow_redirects=False)

    # In a thread, because the portal is served by this one.
    await asyncio.to_thread(send)
