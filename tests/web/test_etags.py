"""A client reads an unchanged resource only once, and cannot overwrite a version that it has not read."""

import httpx
import pytest

from app.web.etags import etag_of
from tests.web.small_app import Profile, RouteState
from tests.web.test_problems import problem


async def test_the_etag_is_strong_and_changes_with_the_content(
    http: httpx.AsyncClient, route_state: RouteState
) -> None:
    first = (await http.get("/v1/profile")).headers["etag"]
    again = (await http.get("/v1/profile")).headers["etag"]
    route_state.profile = Profile(full_name="Grace")
    other = (await http.get("/v1/profile")).headers["etag"]
    assert first == again != other
    assert first.startswith('"')
    assert other == etag_of(route_state.profile)


@pytest.mark.parametrize("form", ["{tag}", "W/{tag}", '"other", {tag}', '"a,b",{tag}', "*"])
async def test_a_known_version_is_not_sent_again(http: httpx.AsyncClient, form: str) -> None:
    tag = (await http.get("/v1/profile")).headers["etag"]
    response = await http.get("/v1/profile", headers={"if-none-match": form.format(tag=tag)})
    assert (response.status_code, response.content, response.headers["etag"]) == (304, b"", tag)
    assert response.headers["x-request-id"]


@pytest.mark.parametrize("given", ['"other"', "garbage", "", '"', "W/"])
async def test_any_other_if_none_match_gets_the_resource(http: httpx.AsyncClient, given: str) -> None:
    response = await http.get("/v1/profile", headers={"if-none-match": given})
    assert (response.status_code, response.json()["fullName"]) == (200, "Ada")


async def change(http: httpx.AsyncClient, headers: dict[str, str]) -> httpx.Response:
    return await http.patch("/v1/profile", json={"fullName": "Grace"}, headers=headers)


@pytest.mark.parametrize("form", ["{tag}", '"other", {tag}', "*"])
async def test_a_change_with_the_present_version_passes(http: httpx.AsyncClient, form: str) -> None:
    tag = (await http.get("/v1/profile")).headers["etag"]
    assert (await change(http, {"if-match": form.format(tag=tag)})).status_code == 200


async def test_the_second_of_two_changes_to_one_version_is_refused(
    http: httpx.AsyncClient, route_state: RouteState
) -> None:
    tag = (await http.get("/v1/profile")).headers["etag"]
    assert (await change(http, {"if-match": tag})).status_code == 200
    response = await http.patch("/v1/profile", json={"fullName": "Lost"}, headers={"if-match": tag})
    assert response.status_code == 412
    problem(response)
    assert route_state.profile.full_name == "Grace"


async def test_a_weak_version_is_no_ground_for_a_change(http: httpx.AsyncClient) -> None:
    tag = (await http.get("/v1/profile")).headers["etag"]
    assert (await change(http, {"if-match": f"W/{tag}"})).status_code == 412


@pytest.mark.parametrize("headers", [{}, {"if-match": " "}])
async def test_a_change_without_a_version_is_asked_to_read_first(
    http: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    response = await change(http, headers)
    assert response.status_code == 428
    problem(response)


@pytest.mark.parametrize("given", ["5f0a", '"half', '"a" b', "W/x" * 2000])
async def test_an_if_match_that_is_no_etag_is_shown_where_it_stands(
    http: httpx.AsyncClient, given: str
) -> None:
    response = await change(http, {"if-match": given})
    assert [error["pointer"] for error in problem(response)["errors"]] == ["/header/If-Match"]
