"""A refused request says which field to change and how, in the names that the caller used."""

import json
from typing import Any

import httpx
import pytest

from tests.web.test_problems import problem

JSON = {"content-type": "application/json"}


def pointers(response: httpx.Response) -> list[str]:
    assert response.status_code == 422
    return [error["pointer"] for error in problem(response)["errors"]]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"fullName": "Ada", "shipping": {"postalCode": "1"}}, "/shipping/country"),
        ({"fullName": "Ada", "shipping": {"postalCode": 1, "country": "DE"}}, "/shipping/postalCode"),
        ({"fullName": "Ada", "ships": [{"postalCode": "1", "country": 2}]}, "/ships/0/country"),
        ({"fullName": "Ada", "a/b~c": 1}, "/a~1b~0c"),
        ({"fullName": "Ada", "nick_name": 1}, "/nick_name"),
        ({}, "/fullName"),
        ([], ""),
        ("text", ""),
    ],
)
async def test_a_wrong_body_is_answered_with_a_pointer(
    http: httpx.AsyncClient, body: object, pointer: str
) -> None:
    assert pointers(await http.post("/v1/profile", content=json.dumps(body), headers=JSON)) == [pointer]


async def test_the_branches_of_a_union_do_not_stand_in_a_pointer(http: httpx.AsyncClient) -> None:
    body = {"fullName": "Ada", "pickUp": {"postalCode": "1"}}
    found = pointers(await http.post("/v1/profile", json=body))
    assert set(found) == {"/pickUp/country", "/pickUp"}


async def test_no_body_at_all_is_said_to_be_missing(http: httpx.AsyncClient) -> None:
    response = await http.post("/v1/profile")
    assert pointers(response) == [""]
    assert "required" in response.json()["errors"][0]["detail"]


async def test_the_refused_value_is_never_repeated(http: httpx.AsyncClient) -> None:
    response = await http.post("/v1/profile", json={"fullName": {"secret": "4111-1111"}})
    assert "4111" not in response.text


@pytest.mark.parametrize(
    "content", [b"{", b'{"fullName": }', b"\xff\xfe\xff", b"[" * 100_000, b'"' + b"a" * 9]
)
async def test_a_body_that_is_not_json_is_malformed(http: httpx.AsyncClient, content: bytes) -> None:
    response = await http.post("/v1/profile", content=content, headers={"content-type": "application/json"})
    assert response.status_code == 400
    problem(response)


@pytest.mark.parametrize("headers", [{"content-type": "text/plain"}, {"content-type": "application/xml"}, {}])
async def test_another_content_type_is_unsupported(http: httpx.AsyncClient, headers: dict[str, str]) -> None:
    response = await http.post("/v1/profile", content=b'{"fullName": "Ada"}', headers=headers)
    assert response.status_code == 415
    problem(response)


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "/query/limit"),
        ("limit=101", "/query/limit"),
        ("limit=many", "/query/limit"),
        ("limit=", "/query/limit"),
        ("Limit=1", "/query/Limit"),
        ("offset=1", "/query/offset"),
        ("a%2Fb=1", "/query/a~1b"),
        ("orderId=..%2Fcustomers", "/query/orderId"),
        ("orderId=%00", "/query/orderId"),
        ("cursor=garbage", "/query/cursor"),
        ("cursor=" + "a" * 2000, "/query/cursor"),
    ],
)
async def test_an_impossible_query_value_is_answered_with_a_pointer(
    http: httpx.AsyncClient, query: str, pointer: str
) -> None:
    assert pointers(await http.get(f"/v1/orders?{query}")) == [pointer]


async def test_known_query_names_pass(http: httpx.AsyncClient) -> None:
    first = await http.get("/v1/orders", params={"limit": 5, "orderId": "204440790336"})
    second = await http.get("/v1/orders", params={"cursor": first.json()["nextCursor"]})
    assert (second.status_code, second.json()["data"]) == (200, ["5"])


@pytest.mark.parametrize(
    "given", ["%00", "%2e%2e", ".%2E", "a%5cb", "a%20b", "%F0%9F%92%A9", "a" * 101, "%25"]
)
async def test_an_invalid_id_is_refused_before_any_query(http: httpx.AsyncClient, given: str) -> None:
    url = httpx.URL("http://portal.test/v1/orders/x").copy_with(raw_path=f"/v1/orders/{given}".encode())
    assert pointers(await http.get(url)) == ["/path/orderId"]


@pytest.mark.parametrize(
    "given", ["204440790336", "re_e0779bb1-7af2-43f5-9225-35a282d86f66", "auth0|5f", "a.b@c.de", "me"]
)
async def test_ids_as_they_really_occur_pass(http: httpx.AsyncClient, given: str) -> None:
    response = await http.get(f"/v1/orders/{given}")
    assert (response.status_code, response.json()["data"]) == (200, [given])


@pytest.mark.parametrize(
    ("invoice", "pointer"),
    [
        ({"total": 12.5, "createdAt": "2026-01-31T09:30:00Z"}, "/total"),
        ({"total": "12,50", "createdAt": "2026-01-31T09:30:00Z"}, "/total"),
        ({"total": "1e3", "createdAt": "2026-01-31T09:30:00Z"}, "/total"),
        ({"total": "NaN", "createdAt": "2026-01-31T09:30:00Z"}, "/total"),
        ({"total": "1", "createdAt": 1700000000}, "/createdAt"),
        ({"total": "1", "createdAt": "1700000000"}, "/createdAt"),
        ({"total": "1", "createdAt": "2026-01-31"}, "/createdAt"),
        ({"total": "1", "createdAt": "2026-01-31T09:30:00"}, "/createdAt"),
        ({"total": "1", "createdAt": "2026-02-31T09:30:00Z"}, "/createdAt"),
        ({"total": "1", "createdAt": "0001-01-01T00:00:00+14:00"}, "/createdAt"),
        ({"total": "1", "createdAt": "9999-12-31T23:59:59-14:00"}, "/createdAt"),
    ],
)
async def test_amounts_and_times_have_one_form_only(
    http: httpx.AsyncClient, invoice: dict[str, Any], pointer: str
) -> None:
    assert pointers(await http.post("/v1/invoices", json=invoice)) == [pointer]


async def test_amounts_keep_their_digits_and_times_become_utc(http: httpx.AsyncClient) -> None:
    body = {"total": "12.50", "createdAt": "2026-01-31T09:30:00.5+02:00"}
    answer = (await http.post("/v1/invoices", json=body)).json()
    assert answer == {"total": "12.50", "createdAt": "2026-01-31T07:30:00.500000Z"}


@pytest.mark.parametrize(
    "text",
    [
        rb"A\u0000da",
        rb"\\\u0000",
        rb"\ud83d",
        rb"\uD83D \uDE00",
        rb"\ude00\ud83d",
        rb"\ud83d\ud83d\ude00",
        b"\xed\xa0\x80",
        b"\xff",
        b"A\x00da",
    ],
)
@pytest.mark.parametrize("template", [b'{"fullName": "%b"}', b'{"fullName": "Ada", "%b": 1}'])
async def test_text_that_cannot_be_stored_is_refused(
    http: httpx.AsyncClient, template: bytes, text: bytes
) -> None:
    response = await http.post("/v1/profile", content=template % text, headers=JSON)
    assert response.status_code == 400
    problem(response)


async def test_another_encoding_is_refused(http: httpx.AsyncClient) -> None:
    content = '{"fullName": "Ada"}'.encode("utf-16")
    assert (await http.post("/v1/profile", content=content, headers=JSON)).status_code == 400


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (rb"\ud83d\ude00", "😀"),
        (rb"\\u0000", r"\u0000"),
        (rb"\\\\ud83d", r"\\ud83d"),
        ("Łukasz".encode(), "Łukasz"),
    ],
)
async def test_text_that_merely_looks_like_it_passes(http: httpx.AsyncClient, text: bytes, name: str) -> None:
    response = await http.post("/v1/profile", content=b'{"fullName": "%b"}' % text, headers=JSON)
    assert response.json()["fullName"] == name
