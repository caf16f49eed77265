"""Files and their public, temporary links."""

import base64
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.support.api_client import ApiClient, Json, refusal

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)
UPLOAD = {"purpose": "tax_document_customer_upload"}


def in_(seconds: float) -> str:
    moment = datetime.now(UTC) + timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


async def an_invoice(api: ApiClient) -> str:
    identity: str = (await api.complete())["invoicePDFs"][0]["id"]
    return identity


async def a_link(api: ApiClient, **more: object) -> Json:
    return await api.post("/file-links", {"fileId": await an_invoice(api), "expiresTime": in_(3600), **more})


async def test_a_link_opens_the_pdf_without_a_key(api: ApiClient, raw: httpx.AsyncClient) -> None:
    link = await a_link(api)
    opened = await raw.get(link["url"])
    assert opened.status_code == 200
    assert opened.headers["content-type"] == "application/pdf"
    assert opened.content.startswith(b"%PDF-")
    assert link["expired"] is False
    shown = await api.get(f"/files/{link['fileId']}")
    assert shown["links"] == [link]


async def test_an_expired_link_does_not_open_and_cannot_be_renewed(
    api: ApiClient, raw: httpx.AsyncClient
) -> None:
    link = await a_link(api)
    live = {"fileId": link["fileId"], "expired": "false"}
    assert len((await api.get("/file-links", live))["data"]) == 1
    await api.post("/_sandbox/clock", {"advanceSeconds": 3601})
    assert (await raw.get(link["url"])).status_code == 410
    assert (await api.get(f"/file-links/{link['id']}"))["expired"] is True
    assert (await api.get("/file-links", live))["data"] == []
    assert len((await api.get("/file-links", {"expired": "true"}))["data"]) == 1
    body = {"expiresTime": in_(9999)}
    assert (await api.refused(f"/file-links/{link['id']}", body))[0] == 409


async def test_a_link_lives_as_long_as_its_latest_expiry_says(api: ApiClient, raw: httpx.AsyncClient) -> None:
    link = await a_link(api)
    await api.post(f"/file-links/{link['id']}", {"expiresTime": in_(7200)})
    await api.post("/_sandbox/clock", {"advanceSeconds": 3700})
    assert (await raw.get(link["url"])).status_code == 200


async def test_deleting_a_link_kills_its_address_only(api: ApiClient, raw: httpx.AsyncClient) -> None:
    link = await a_link(api)
    assert (await api.client.delete(f"/file-links/{link['id']}")).status_code == 204
    assert (await raw.get(link["url"])).status_code == 404
    assert (await api.client.get(f"/file-links/{link['id']}")).status_code == 404
    assert (await api.client.get(f"/files/{link['fileId']}/content")).status_code == 200


@pytest.mark.proof
@pytest.mark.parametrize("expires", ["2020-01-01T00:00:00Z", "tomorrow", "2099-01-01T00:00:00+02:00", 5])
async def test_a_link_needs_an_expiry_in_the_future(api: ApiClient, expires: object) -> None:
    body = {"fileId": await an_invoice(api), "expiresTime": expires}
    response = await api.client.post("/file-links", json=body)
    assert refusal(response) == (400, "invalid_parameter", "expiresTime")
    assert response.json()["errors"][0]["message"] == (
        "Please provide a valid link expiration time in ISO8601 format and UTC timezone"
    )


async def test_a_link_needs_a_file_an_expiry_and_nothing_unknown(api: ApiClient) -> None:
    assert await api.refused("/file-links", {"expiresTime": in_(9)}) == (
        400,
        "missing_parameter",
        "fileId",
    )
    unknown = {"fileId": "x", "expiresTime": in_(9)}
    assert await api.refused("/file-links", unknown) == (409, "not_found", "fileId")
    strange = unknown | {"url": "x"}
    assert await api.refused("/file-links", strange) == (400, "unknown_parameter", "url")


async def test_milliseconds_in_an_expiry_and_metadata_are_accepted(api: ApiClient) -> None:
    link = await a_link(api, expiresTime="2099-10-25T20:36:00.000Z", metadata={"for": "ada"})
    assert link["expiresTime"] == "2099-10-25T20:36:00Z"
    assert link["metadata"] == {"for": "ada"}


async def test_the_content_needs_the_secret_key(api: ApiClient, raw: httpx.AsyncClient) -> None:
    identity = await an_invoice(api)
    assert (await raw.get(f"/files/{identity}/content")).status_code == 401
    assert (await api.client.get("/files/nothing/content")).status_code == 404


async def test_a_file_is_uploaded_by_multipart_or_as_base64(api: ApiClient) -> None:
    parts = {"file": ("card.png", PNG, "image/png")}
    response = await api.client.post("/files", data={**UPLOAD, "title": "Exempt"}, files=parts)
    multipart = response.raise_for_status().json()
    encoded = base64.b64encode(PNG).decode()
    as_json = await api.post("/files", {**UPLOAD, "file": encoded, "fileName": "card.png"})
    assert multipart.pop("title") == "Exempt"
    varying = {"id", "url", "createdTime"}
    assert {k: v for k, v in multipart.items() if k not in varying} == {
        k: v for k, v in as_json.items() if k not in varying
    }
    content = await api.client.get(f"/files/{multipart['id']}/content")
    assert (content.content, content.headers["content-type"]) == (PNG, "image/png")


async def test_an_upload_with_an_expiry_comes_with_a_link(api: ApiClient, raw: httpx.AsyncClient) -> None:
    body = {**UPLOAD, "file": base64.b64encode(PNG).decode(), "fileName": "a.png"}
    file = await api.post("/files", {**body, "linkExpiresTime": in_(60)})
    assert (await raw.get(file["links"][0]["url"])).content == PNG


@pytest.mark.proof
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"file": None}, ("missing_parameter", "file")),
        ({"file": "***"}, ("invalid_parameter", "file")),
        ({"file": base64.b64encode(b"MZ...").decode()}, ("invalid_parameter", "file")),
        ({"purpose": "holiday"}, ("invalid_parameter", "purpose")),
        ({"purpose": None}, ("missing_parameter", "purpose")),
        ({"fileName": None}, ("missing_parameter", "fileName")),
        ({"colour": "red"}, ("unknown_parameter", "colour")),
        (
            {"file": base64.b64encode(PNG + bytes(10 * 1024 * 1024)).decode()},
            ("invalid_parameter", "file"),
        ),
    ],
)
async def test_an_unusable_upload_is_refused(api: ApiClient, change: Json, expected: tuple[str, str]) -> None:
    body = {**UPLOAD, "file": base64.b64encode(PNG).decode(), "fileName": "a.png", **change}
    assert await api.refused("/files", body) == (400, *expected)


async def test_a_deleted_file_takes_its_links_along(api: ApiClient, raw: httpx.AsyncClient) -> None:
    link = await a_link(api)
    assert (await api.client.delete(f"/files/{link['fileId']}")).status_code == 204
    assert (await api.client.get(f"/files/{link['fileId']}")).status_code == 404
    assert (await raw.get(link["url"])).status_code == 404


async def test_files_are_listed_by_purpose_and_size(api: ApiClient) -> None:
    identity = await an_invoice(api)
    found = await api.get("/files", {"purpose": "customer_invoice", "size[gt]": 100, "type": "pdf"})
    assert [file["id"] for file in found["data"]] == [identity]
    assert (await api.get("/files", {"size[lt]": 100}))["data"] == []
