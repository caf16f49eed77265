"""Every route of the app checks the owner, and a new route without an entry in the table fails here."""

from uuid import uuid4

import asyncpg
import pytest

from tests.security.matrix import EMAIL, ENTRIES, OWNER, PUBLIC, CaseContext, Values, routes_of
from tests.support.portal import Portal, build
from tests.support.proofs import proofs_except
from tests.support.sandbox import Json, Sandbox

ROUTES = routes_of(build())
BUYERS = [route for route in ROUTES if route in ENTRIES]
OWNED = [route for route in BUYERS if ENTRIES[route].kind != "self"]
OWNED_READS = [route for route in OWNED if route.startswith("GET ")]
SELF = [route for route in BUYERS if ENTRIES[route].kind == "self"]
OPERATORS = [route for route in ROUTES if route.split()[1].startswith("/ops/")]
ANY_VALUES = dict.fromkeys(("customerId", "orderId", "sourceId", "taxIdentifierId", "eventId"), "one") | {
    "documentId": str(uuid4())
}
MALLORY = "mallory"


@pytest.fixture
async def context(portal: Portal, sandbox: Sandbox) -> CaseContext:
    return CaseContext(portal, sandbox, await sandbox.token(OWNER))


async def far_writes(sandbox: Sandbox) -> list[str]:
    """What the portal has changed, or tried to change, at Digital River."""
    calls = (await sandbox.get("/_sandbox/requests"))["calls"]
    return [f"{call['method']} {call['path']}" for call in calls if call["method"] != "GET"]


def comparable(problem: Json) -> Json:
    return {name: value for name, value in problem.items() if name not in {"instance", "requestId"}}


def nobodys(values: Values) -> Values:
    """The same path with ids that never existed."""
    return {name: str(uuid4()) for name in values}


def test_every_route_is_in_the_table() -> None:
    unknown = [route for route in ROUTES if route not in {*ENTRIES, *PUBLIC, *OPERATORS}]
    assert not unknown, (
        f"{unknown}: say in ENTRIES of tests/security/matrix.py how the owner's thing of a new route comes "
        "to be, so that it is tried with everybody's tokens; or in PUBLIC that it needs no token"
    )


def test_the_table_names_only_routes_that_exist() -> None:
    assert {*ENTRIES, *PUBLIC} <= set(ROUTES)
    assert OPERATORS


@pytest.mark.parametrize("route", [*BUYERS, *OPERATORS])
async def test_a_request_without_a_valid_token_shows_no_data(
    route: str, portal: Portal, sandbox: Sandbox
) -> None:
    method, template = route.split()
    path = template.format(**ANY_VALUES)
    refused = {
        "none": {},
        "not ours": {"Authorization": "Basic YWRhOmFkYQ=="},
        "expired": await sandbox.token(OWNER, scopes=["portal:ops"], expiresIn=-60),
        "another issuer": await sandbox.token(OWNER, scopes=["portal:ops"], issuer="https://evil.example"),
        "another audience": await sandbox.token(OWNER, scopes=["portal:ops"], audience="shop"),
        "another key": await sandbox.token(OWNER, scopes=["portal:ops"], key="foreign"),
        "no signature": await sandbox.token(OWNER, scopes=["portal:ops"], algorithm="none"),
    }
    for why, token in refused.items():
        answer = await portal.client.request(method, path, headers=token)
        assert answer.status_code == 401, why
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("route", [route for route in OWNED if ENTRIES[route].kind == "thing"])
async def test_another_buyers_resource_does_not_exist_and_its_owner_keeps_it(
    route: str, context: CaseContext
) -> None:
    mallory = await context.sandbox.token(MALLORY)
    values = await ENTRIES[route].prepare(context)
    await context.sandbox.client.delete("/_sandbox/requests")
    theirs = await context.request(route, mallory, values)
    nothing = await context.request(route, mallory, nobodys(values), thing=values)
    assert (theirs.status_code, nothing.status_code) == (404, 404), theirs.text
    assert comparable(theirs.json()) == comparable(nothing.json())
    assert await far_writes(context.sandbox) == []
    own = await context.request(route, context.owner, values)
    assert own.status_code in {200, 201, 204, 303}, f"the entry of {route} makes nothing: {own.text}"


@pytest.mark.parametrize(
    "route",
    [r for r in OWNED if "{customerId}/" in r and (r.count("{") > 1 or ENTRIES[r].takes_ids_in_body)],
)
async def test_another_buyers_resource_cannot_be_reached_through_ones_own_path(
    route: str, context: CaseContext
) -> None:
    mallory = await context.sandbox.token(MALLORY)
    values = await ENTRIES[route].prepare(context)
    await context.portal.client.put("/v1/customers/me", headers=mallory)
    await context.sandbox.client.delete("/_sandbox/requests")
    answer = await context.request(route, mallory, {**values, "customerId": "me"})
    assert answer.status_code in {404, 422}, answer.text
    assert await far_writes(context.sandbox) == []
    assert (await context.request(route, context.owner, values)).is_success


@pytest.mark.parametrize("route", [route for route in OWNED if ENTRIES[route].kind == "list"])
async def test_a_list_holds_nothing_of_others(route: str, context: CaseContext) -> None:
    await ENTRIES[route].prepare(context)
    mallorys = await context.request(route, await context.sandbox.token(MALLORY), {})
    assert (mallorys.status_code, mallorys.json()["data"]) == (200, [])
    assert len((await context.request(route, context.owner, {})).json()["data"]) == 1


@pytest.mark.parametrize("route", SELF)
async def test_a_route_about_the_caller_shows_only_the_caller(route: str, context: CaseContext) -> None:
    await ENTRIES[route].prepare(context)
    for scopes in ([], ["portal:support"]):
        token = await context.sandbox.token(MALLORY, scopes=scopes)
        answer = await context.request(route, token, {})
        may = not scopes or route.startswith("GET ")
        assert answer.is_success if may else answer.status_code == 403
        assert EMAIL not in answer.text
        assert "Lovelace" not in answer.text


@pytest.mark.parametrize("route", proofs_except(OWNED_READS[:3], OWNED_READS))
async def test_support_reads_it_and_leaves_a_record(
    route: str, context: CaseContext, database: asyncpg.Connection
) -> None:
    support = await context.sandbox.token("agent-7", scopes=["portal:support"])
    values = await ENTRIES[route].prepare(context)
    whose = {"params": {"customerId": OWNER}} if ENTRIES[route].kind == "list" else {}
    seen = await context.request(route, support, values, **whose)
    assert seen.status_code in {200, 303}, seen.text
    own = await context.request(route, context.owner, values)
    assert (own.status_code, own.content) == (seen.status_code, seen.content)
    records = await database.fetch("SELECT subject, operation, request_id FROM audit_record")
    assert [tuple(record) for record in records] == [("agent-7", route, seen.headers["X-Request-ID"])]


@pytest.mark.parametrize("route", [route for route in OWNED if not route.startswith("GET ")])
async def test_support_changes_nothing(
    route: str, context: CaseContext, database: asyncpg.Connection
) -> None:
    support = await context.sandbox.token("agent-7", scopes=["portal:support", "portal:ops"])
    values = await ENTRIES[route].prepare(context)
    await context.sandbox.client.delete("/_sandbox/requests")
    assert (await context.request(route, support, values)).status_code == 404
    assert await far_writes(context.sandbox) == []
    assert await database.fetchval("SELECT count(*) FROM audit_record") == 0


@pytest.mark.parametrize("route", OPERATORS)
async def test_operators_routes_need_the_operators_scope(
    route: str, portal: Portal, sandbox: Sandbox
) -> None:
    method, template = route.split()
    path = template.format(**ANY_VALUES)
    for scopes, refused in (([], True), (["portal:support", "portal:opsx"], True), (["portal:ops"], False)):
        answer = await portal.client.request(method, path, headers=await sandbox.token("op", scopes=scopes))
        assert (answer.status_code == 403) is refused, answer.text
        assert answer.status_code != 401
