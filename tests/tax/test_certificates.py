"""US exemption certificates: an upload is checked by its content, and is never whole in memory."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from tests.support.buyers import AccountBuyer, pointers
from tests.support.clock import eventually
from tests.support.proofs import proofs_except
from tests.support.sandbox import Json, Sandbox

PATH = "/tax-certificates"
PDF = b"%PDF-1.7\n" + b"exempt " * 100
JPG = b"\xff\xd8\xff\xe0" + bytes(range(256))
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
LARGEST = 10 * 1024 * 1024


def day(offset: int) -> str:
    return (datetime.now(UTC) + timedelta(days=offset)).date().isoformat()


async def files_of(sandbox: Sandbox) -> list[Json]:
    found: list[Json] = (await sandbox.get("/files"))["data"]
    return found


@pytest.mark.parametrize(
    ("content", "name"), [(PDF, "exempt.pdf"), (JPG, "photo.JPEG"), (PNG, "scan.png"), (JPG, "C:\\a\\b.jpg")]
)
async def test_a_certificate_is_uploaded_and_listed(
    content: bytes, name: str, ada: AccountBuyer, sandbox: Sandbox
) -> None:
    dates = {"startDate": day(-1), "endDate": day(1)}
    answer = await ada.upload(content, file_name=name, authority="mn", **dates)
    assert answer.status_code == 201, answer.text
    expected = {"company": "Analytical Engines, Inc.", "authority": "MN", **dates, "status": "active"}
    assert answer.json() == expected
    assert (await ada.get(PATH)).json() == {"data": [expected], "nextCursor": None, "unreadable": 0}
    (file,) = await files_of(sandbox)
    assert (file["purpose"], file["fileName"]) == ("tax_document_customer_upload", name.rpartition("\\")[2])
    assert (await sandbox.client.get(f"/files/{file['id']}/content")).content == content
    (kept,) = (await sandbox.get("/customers/ada"))["taxCertificates"]
    assert kept["fileId"] == file["id"]


@pytest.mark.parametrize(
    ("start", "end", "status"),
    [(-2, -1, "expired"), (-1, 0, "active"), (0, 1, "active"), (1, 2, "notYetValid")],
)
async def test_the_status_follows_from_the_dates(
    start: int, end: int, status: str, ada: AccountBuyer
) -> None:
    await ada.upload(PDF, startDate=day(start), endDate=day(end))
    assert [one["status"] for one in (await ada.get(PATH)).json()["data"]] == [status]


async def test_the_newest_certificate_comes_first(ada: AccountBuyer) -> None:
    for state in ("MN", "CA"):
        await ada.upload(PDF, authority=state)
    assert [one["authority"] for one in (await ada.get(PATH)).json()["data"]] == ["CA", "MN"]


async def test_the_largest_file_passes_and_one_byte_more_does_not(
    ada: AccountBuyer, sandbox: Sandbox
) -> None:
    largest = PDF.ljust(LARGEST, b" ")
    assert (await ada.upload(largest)).status_code == 201
    assert (await ada.upload(largest + b" ")).status_code == 413
    assert [file["size"] for file in await files_of(sandbox)] == [LARGEST]


async def test_an_endless_upload_is_cut_off(ada: AccountBuyer, sandbox: Sandbox) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n\r\n%PDF-1.7\n'
        for _ in range(200):
            yield b" " * 65536

    answer = await ada.portal.client.post(
        f"/v1/customers/me{PATH}",
        content=endless(),
        headers={**ada.token, "Content-Type": "multipart/form-data; boundary=b"},
    )
    assert answer.status_code == 413
    assert await files_of(sandbox) == []


_BAD_FILES = {
    "text named PDF": (b"hello, world", "exempt.pdf"),
    "PDF named PNG": (PDF, "exempt.png"),
    "PNG named PDF": (PNG, "exempt.pdf"),
    "no extension": (PDF, "exempt"),
    "a program": (b"MZ" + bytes(100), "exempt.exe"),
    "nothing": (b"", "exempt.pdf"),
    "the beginning of a beginning": (b"%PD", "exempt.pdf"),
    "a PDF further down": (b"\n\n" + PDF, "exempt.pdf"),
}


@pytest.mark.parametrize("case", sorted(_BAD_FILES))
async def test_a_file_that_is_not_what_it_must_be_is_refused(
    case: str, ada: AccountBuyer, sandbox: Sandbox
) -> None:
    content, name = _BAD_FILES[case]
    assert pointers(await ada.upload(content, file_name=name)) == ["/file"]
    assert await files_of(sandbox) == []


_BAD_FIELDS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "no company": ({"company": None}, ["/company"]),
    "blank company": ({"company": " "}, ["/company"]),
    "long company": ({"company": "x" * 201}, ["/company"]),
    "very long company": ({"company": "x" * 5000}, ["/company"]),
    "authority in words": ({"authority": "Minnesota"}, ["/authority"]),
    "authority of Canada": ({"authority": "ON"}, ["/authority"]),
    "no such day": ({"startDate": "2026-02-30"}, ["/startDate"]),
    "a number as a day": ({"startDate": "1767225600"}, ["/startDate"]),
    "a time as a day": ({"endDate": "2026-12-31T00:00:00Z"}, ["/endDate"]),
    "the end before the start": ({"startDate": "2026-12-31", "endDate": "2026-01-01"}, ["/endDate"]),
    "all missing": (
        dict.fromkeys(("company", "authority", "startDate", "endDate")),
        ["/authority", "/company", "/endDate", "/startDate"],
    ),
    "unknown": ({"fileId": "f"}, ["/fileId"]),
    "snake case": ({"start_date": "2026-01-01"}, ["/start_date"]),
}


@pytest.mark.parametrize("case", sorted(_BAD_FIELDS))
async def test_fields_that_cannot_be_accepted_are_named(
    case: str, ada: AccountBuyer, sandbox: Sandbox
) -> None:
    fields, expected = _BAD_FIELDS[case]
    assert pointers(await ada.upload(PDF, **fields)) == expected
    assert await files_of(sandbox) == []


def part(name: str, text: str = "x", more: str = "") -> str:
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{text}\r\n'


_FORM = "multipart/form-data; boundary=b"
_FILE = part("file", "%PDF-1.7 and more", '; filename="a.pdf"')
_BAD_FORMS: dict[str, tuple[str, str, int]] = {
    "JSON": ("application/json", "{}", 415),
    "no boundary": ("multipart/form-data", _FILE, 415),
    "another boundary": ("multipart/form-data; boundary=c", f"{_FILE}--b--\r\n", 400),
    "no end": (_FORM, _FILE, 400),
    "half a header": (_FORM, "--b\r\nContent-Dispo", 400),
    "nothing": (_FORM, "", 400),
    "no parts": (_FORM, "--b--\r\n", 422),
    "no file": (_FORM, f"{part('company')}--b--\r\n", 422),
    "the file as text": (_FORM, f"{part('file', '%PDF-1.7 and more')}--b--\r\n", 422),
    "two files": (_FORM, f"{_FILE}{_FILE}--b--\r\n", 422),
    "a text with a file name": (_FORM, f"{part('company', more='; filename=a')}{_FILE}--b--\r\n", 422),
    "an unknown file": (_FORM, f"{part('other', 'no PDF', '; filename=a')}{_FILE}--b--\r\n", 422),
    "a field twice": (_FORM, f"{part('company')}{part('company')}--b--\r\n", 422),
    "a hundred fields": (_FORM, "".join(part(f"f{n}") for n in range(100)) + "--b--\r\n", 400),
    "a part without a name": (_FORM, "--b\r\n\r\nx\r\n--b--\r\n", 422),
    "NUL": (_FORM, f"{part('company', chr(0))}--b--\r\n", 400),
    "no UTF-8": (_FORM, f"{part('company', chr(0xDC80))}--b--\r\n", 400),
    "Latin-1": (f"{_FORM}; charset=latin-1", f"{part('company', chr(0xDC80))}--b--\r\n", 400),
    "a boundary beyond measure": (f"multipart/form-data; boundary={'b' * 257}", _FILE, 400),
}


@pytest.mark.parametrize("case", sorted(_BAD_FORMS))
async def test_a_malformed_form_is_refused(case: str, ada: AccountBuyer, sandbox: Sandbox) -> None:
    content_type, body, status = _BAD_FORMS[case]
    answer = await ada.portal.client.post(
        f"/v1/customers/me{PATH}",
        content=body.encode(errors="surrogateescape"),
        headers={**ada.token, "Content-Type": content_type},
    )
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert await files_of(sandbox) == []


async def test_a_compressed_form_is_refused(ada: AccountBuyer) -> None:
    headers = {**ada.token, "Content-Type": _FORM, "Content-Encoding": "gzip"}
    answer = await ada.portal.client.post(f"/v1/customers/me{PATH}", content=b"x", headers=headers)
    assert answer.status_code == 415


async def test_a_connection_that_breaks_off_leaves_nothing_behind(
    ada: AccountBuyer, sandbox: Sandbox
) -> None:
    host, _, port = ada.portal.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = "".join(f"{name}: {value}\r\n" for name, value in ada.token.items())
    writer.write(
        f"POST /v1/customers/me{PATH} HTTP/1.1\r\nHost: {host}\r\n{head}"
        f"Content-Type: {_FORM}\r\nContent-Length: 5000\r\n\r\n{_FILE}".encode()
    )
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert await reader.read() == b""
    assert (await ada.upload(PDF)).status_code == 201
    assert len(await files_of(sandbox)) == 1


async def test_a_file_whose_certificate_is_refused_does_not_stay(ada: AccountBuyer, sandbox: Sandbox) -> None:
    await ada.get()
    await sandbox.fault("status", status=400, method="POST", path="/customers/{id}")
    assert (await ada.upload(PDF)).status_code == 422
    assert await files_of(sandbox) == []


async def test_a_file_that_digital_river_refuses_is_named(ada: AccountBuyer, sandbox: Sandbox) -> None:
    await sandbox.fault("status", status=400, method="POST", path="/files")
    assert pointers(await ada.upload(PDF)) == ["/file"]


async def test_a_certificate_whose_answer_was_lost_is_there_once(ada: AccountBuyer, sandbox: Sandbox) -> None:
    await ada.get()
    await sandbox.fault("reset", method="POST", path="/customers/{id}", times=1, afterwards=True)
    assert (await ada.upload(PDF)).status_code == 201
    assert len((await ada.get(PATH)).json()["data"]) == 1


async def test_an_outage_during_the_last_step_can_be_repeated(ada: AccountBuyer, sandbox: Sandbox) -> None:
    await ada.get()
    await sandbox.fault("status", status=503, method="POST", path="/customers/{id}", times=1)
    assert (await ada.upload(PDF)).status_code == 503
    assert (await ada.upload(PDF)).status_code == 201
    assert len((await ada.get(PATH)).json()["data"]) == 1


async def upload_into_the_dark(buyer: AccountBuyer, sandbox: Sandbox, **lost: Any) -> int:
    """Upload while this fault answers the update, and every later read of the customer fails."""
    await buyer.get()
    await sandbox.fault("delay", method="POST", path="/customers/{id}", seconds=0.5, times=1)
    await sandbox.fault(method="POST", path="/customers/{id}", times=1, **lost)
    calls = await sandbox.count("POST /customers/{id}")
    handing_in = asyncio.create_task(buyer.upload(PDF))

    async def is_told() -> bool:
        return await sandbox.count("POST /customers/{id}") > calls

    await eventually(is_told)
    await sandbox.fault("reset", method="GET", path="/customers/{id}")
    status = (await handing_in).status_code
    (await sandbox.client.put("/_sandbox/faults", json={"faults": []})).raise_for_status()
    await buyer.portal.close_breaker()
    return status


@pytest.mark.parametrize(
    "keys", proofs_except([("one", "another")], [("once", "once"), ("one", "another"), (None, None)])
)
@pytest.mark.parametrize(
    "lost",
    [{"kind": "reset", "afterwards": True}, {"kind": "garbage", "afterwards": True}, {"kind": "status"}],
    ids=["answer lost", "answer garbled", "not arrived"],
)
async def test_a_certificate_that_may_have_arrived_is_not_sent_twice(
    lost: Json, keys: tuple[str | None, str | None], ada: AccountBuyer, sandbox: Sandbox
) -> None:
    first, again = [
        AccountBuyer(ada.portal, {**ada.token, **({} if key is None else {"Idempotency-Key": key})})
        for key in keys
    ]
    assert await upload_into_the_dark(first, sandbox, **lost) in {502, 503}
    assert (await again.upload(PDF)).status_code == 201
    assert len((await sandbox.get("/customers/ada"))["taxCertificates"]) == 1
    assert len(await files_of(sandbox)) == 1


async def test_another_certificate_is_uploaded_beside_the_unconfirmed_one(
    ada: AccountBuyer, sandbox: Sandbox
) -> None:
    await upload_into_the_dark(ada, sandbox, kind="reset", afterwards=True)
    assert (await ada.upload(PDF, authority="CA")).status_code == 201
    assert (await ada.upload(PDF + b"other")).status_code == 201
    assert len((await sandbox.get("/customers/ada"))["taxCertificates"]) == 3


async def test_a_confirmed_upload_leaves_no_record(
    ada: AccountBuyer, sandbox: Sandbox, database: asyncpg.Connection
) -> None:
    count = "SELECT count(*) FROM certificate_upload"
    assert (await ada.upload(PDF)).status_code == 201
    assert await database.fetchval(count) == 0
    # The same once more, on purpose: the first upload was confirmed.
    assert (await ada.upload(PDF)).status_code == 201
    assert len((await sandbox.get("/customers/ada"))["taxCertificates"]) == 2
    await upload_into_the_dark(ada, sandbox, kind="reset", afterwards=True)
    assert await database.fetchval(count) == 1
    assert (await ada.send("POST", "/forget")).status_code == 200
    assert await database.fetchval(count) == 0


async def test_certificates_are_the_owners(
    ada: AccountBuyer, eve: AccountBuyer, support: AccountBuyer, sandbox: Sandbox
) -> None:
    await ada.upload(PDF)
    assert (await eve.get(PATH, of="ada")).status_code == 404
    assert len((await support.get(PATH, of="ada")).json()["data"]) == 1
    assert (await eve.get(PATH)).json()["data"] == []
    for who in (eve, support):
        assert (await who.send("POST", PATH, of="ada")).status_code == 404
    assert (await AccountBuyer(ada.portal, {}).upload(PDF)).status_code == 401
    assert len(await files_of(sandbox)) == 1


async def test_a_repeated_key_uploads_once(ada: AccountBuyer, sandbox: Sandbox) -> None:
    keyed = AccountBuyer(ada.portal, {**ada.token, "Idempotency-Key": "once"})
    first = await keyed.upload(PDF)
    again = await keyed.upload(PDF)
    assert (first.status_code, again.status_code) == (201, 201)
    assert json.loads(again.content) == first.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(await files_of(sandbox)) == 1
