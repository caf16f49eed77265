"""Profile: registering, reading and changing it."""

import asyncio
from typing import Any

import asyncpg
import pytest

from tests.support.buyers import ADDRESS, SHIPPING, AccountBuyer, pointers
from tests.support.sandbox import Json, Sandbox


async def test_a_buyer_registers_once_and_gets_the_same_customer_ever_after(
    ada: AccountBuyer, sandbox: Sandbox
) -> None:
    body = {"email": "ada@example.com", "type": "business", "locale": "de_DE", "shipping": SHIPPING}
    first = await ada.send("PUT", body=body)
    assert first.status_code == 201, first.text
    profile = first.json()
    assert (profile["id"], profile["email"], profile["type"]) == ("ada", "ada@example.com", "business")
    assert (profile["locale"], profile["enabled"], profile["forgetRequested"]) == ("de-DE", True, False)
    assert profile["shipping"]["address"]["city"] == "Minnetonka"
    again = await ada.send("PUT", body={"email": "other@example.com"})
    assert (again.status_code, again.json()) == (200, profile)
    assert again.headers["ETag"] == first.headers["ETag"]
    assert (await sandbox.get("/customers/ada"))["locale"] == "de_DE"


async def test_registering_needs_no_body(ada: AccountBuyer) -> None:
    assert (await ada.send("PUT")).status_code == 201


async def test_simultaneous_registrations_agree(ada: AccountBuyer) -> None:
    answers = await asyncio.gather(*(ada.send("PUT", body={"email": f"{n}@example.com"}) for n in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] * 9 + [201]
    assert len({answer.text for answer in answers}) == 1


async def test_a_customer_is_created_when_first_needed(ada: AccountBuyer, sandbox: Sandbox) -> None:
    answers = await asyncio.gather(*(ada.get() for _ in range(10)))
    assert {answer.status_code for answer in answers} == {200}
    assert (await sandbox.get("/customers"))["data"][0]["id"] == "ada"
    assert len((await sandbox.get("/customers"))["data"]) == 1


async def test_a_profile_is_not_sent_twice(ada: AccountBuyer) -> None:
    first = await ada.get()
    again = await ada.get(**{"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_a_patch_keeps_members_that_it_does_not_name(ada: AccountBuyer, sandbox: Sandbox) -> None:
    await ada.send("PUT", body={"email": "ada@example.com", "locale": "en-US", "shipping": SHIPPING})
    changed = await ada.change(
        "PATCH", body={"locale": "fr_fr", "shipping": {"phone": None, "email": "s@x.io"}}
    )
    assert changed.status_code == 200, changed.text
    profile = changed.json()
    assert (profile["locale"], profile["email"]) == ("fr-FR", "ada@example.com")
    assert (profile["shipping"]["phone"], profile["shipping"]["email"]) == (None, "s@x.io")
    assert profile["shipping"]["address"] == {**ADDRESS, "line2": None}
    assert "phone" not in (await sandbox.get("/customers/ada"))["shipping"]
    now = await ada.get()
    assert (now.json(), now.headers["ETag"]) == (profile, changed.headers["ETag"])


async def test_a_patch_reaches_into_the_address(ada: AccountBuyer) -> None:
    await ada.send("PUT", body={"shipping": SHIPPING})
    changed = await ada.change("PATCH", body={"shipping": {"address": {"line2": "Suite 1"}}})
    assert changed.json()["shipping"]["address"] == {**ADDRESS, "line2": "Suite 1"}
    moved = await ada.change("PATCH", body={"shipping": {"address": {"country": "DE"}}})
    assert moved.status_code == 200, "five digits are a German postal code too"
    assert pointers(await ada.change("PATCH", body={"shipping": {"address": {"country": "CA"}}})) == [
        "/shipping/address/postalCode",
        "/shipping/address/state",
    ]
    removed = await ada.change("PATCH", body={"shipping": None})
    assert removed.json()["shipping"] is None
    assert (await ada.get("/shipping-address")).status_code == 404


async def test_metadata_is_merged_and_removed_by_null_or_empty_text(
    ada: AccountBuyer, sandbox: Sandbox
) -> None:
    await ada.send("PUT", body={"metadata": {"a": "1", "b": 0, "c": False, "d": "x"}})
    changed = await ada.change("PATCH", body={"metadata": {"a": None, "d": "", "e": 1.5}})
    assert changed.json()["metadata"] == {"b": 0, "c": False, "e": 1.5}
    assert (await sandbox.get("/customers/ada"))["metadata"] == {"b": 0, "c": False, "e": 1.5}
    assert (await ada.change("PATCH", body={"metadata": None})).json()["metadata"] == {}


async def test_metadata_may_have_twenty_entries_however_they_came(ada: AccountBuyer) -> None:
    await ada.send("PUT", body={"metadata": {f"k{n}": n for n in range(20)}})
    assert pointers(await ada.change("PATCH", body={"metadata": {"one": "more"}})) == ["/metadata"]
    assert (await ada.change("PATCH", body={"metadata": {"one": "more", "k1": None}})).status_code == 200


async def test_a_patch_may_name_itself_a_merge_patch(ada: AccountBuyer) -> None:
    tag = (await ada.get()).headers["ETag"]
    answer = await ada.portal.client.patch(
        "/v1/customers/me",
        content=b'{"locale": "de-AT"}',
        headers={**ada.token, "If-Match": tag, "Content-Type": "application/merge-patch+json"},
    )
    assert (answer.status_code, answer.json()["locale"]) == (200, "de-AT")


async def test_an_empty_patch_changes_nothing(ada: AccountBuyer, sandbox: Sandbox) -> None:
    profile = (await ada.get()).json()
    bodies: list[Json] = [
        {},
        {"metadata": {}},
        {"metadata": {"a": ""}},
        {"metadata": None},
        {"shipping": None},
    ]
    for body in bodies:
        assert (await ada.change("PATCH", body=body)).json() == profile
    assert await sandbox.count("POST /customers/{id}") == 0


async def test_only_one_of_several_changes_to_one_version_is_accepted(
    ada: AccountBuyer, sandbox: Sandbox
) -> None:
    tag = (await ada.get()).headers["ETag"]
    # Long enough for all readers to read before the first one writes.
    await sandbox.fault("delay", seconds=0.3, method="POST", path="/customers/{id}")
    answers = await asyncio.gather(
        *(ada.send("PATCH", body={"email": f"{n}@example.com"}, headers={"If-Match": tag}) for n in range(5))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412, 412]
    winner = next(answer for answer in answers if answer.status_code == 200)
    assert (await ada.get()).json() == winner.json()


async def test_a_change_needs_the_version_it_changes(ada: AccountBuyer) -> None:
    tag = (await ada.get()).headers["ETag"]
    body = {"email": "ada@example.com"}
    assert (await ada.send("PATCH", body=body)).status_code == 428
    assert (await ada.send("PATCH", body=body, headers={"If-Match": '"older"'})).status_code == 412
    assert (await ada.send("PATCH", body=body, headers={"If-Match": f"W/{tag}"})).status_code == 412
    assert pointers(await ada.send("PATCH", body=body, headers={"If-Match": "no tag"})) == [
        "/header/If-Match"
    ]
    assert (await ada.get()).json()["email"] is None
    assert (await ada.send("PATCH", body=body, headers={"If-Match": "*"})).status_code == 200


_BAD: dict[str, tuple[Json, list[str]]] = {
    "enabled": ({"enabled": False}, ["/enabled"]),
    "id": ({"id": "eve"}, ["/id"]),
    "snake case": ({"forget_requested": True}, ["/forget_requested"]),
    "no e-mail": ({"email": "ada"}, ["/email"]),
    "removed e-mail": ({"email": None}, ["/email"]),
    "long e-mail": ({"email": f"{'a' * 250}@example.com"}, ["/email"]),
    "unknown type": ({"type": "robot"}, ["/type"]),
    "removed type": ({"type": None}, ["/type"]),
    "no locale": ({"locale": "english"}, ["/locale"]),
    "unknown language": ({"locale": "xx-US"}, ["/locale"]),
    "unknown country of a locale": ({"locale": "en_XX"}, ["/locale"]),
    "several": ({"email": "x", "type": 1, "locale": ""}, ["/email", "/locale", "/type"]),
    "metadata is no object": ({"metadata": [1]}, ["/metadata"]),
    "long key": ({"metadata": {"k" * 41: 1}}, [f"/metadata/{'k' * 41}"]),
    "empty key": ({"metadata": {"": 1}}, ["/metadata/"]),
    "long value": ({"metadata": {"a/b": "v" * 501}}, ["/metadata/a~1b"]),
    "nested value": ({"metadata": {"a": {"b": 1}}}, ["/metadata/a"]),
    "long number": ({"metadata": {"a": 10**501}}, ["/metadata/a"]),
    "unknown in shipping": ({"shipping": {"colour": 1}}, ["/shipping/colour"]),
    "half an address": (
        {"shipping": {"address": {"country": "FR"}}},
        [f"/shipping/address/{name}" for name in ("city", "line1", "postalCode")],
    ),
    "shipping is text": ({"shipping": "home"}, ["/shipping"]),
}


@pytest.mark.parametrize("case", sorted(_BAD))
async def test_a_change_that_cannot_be_accepted_says_where(
    case: str, ada: AccountBuyer, sandbox: Sandbox
) -> None:
    body, expected = _BAD[case]
    assert pointers(await ada.change("PATCH", body=body)) == expected
    assert await sandbox.count("POST /customers/{id}") == 0


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"email": "x"}, ["/email"]),
        ({"metadata": {str(n): n for n in range(21)}}, ["/metadata"]),
        ({"shipping": {"address": {"country": "Germany"}}}, None),
        ({"id": "eve"}, ["/id"]),
    ],
)
async def test_a_registration_that_cannot_be_accepted_says_where(
    body: Json, expected: list[str] | None, ada: AccountBuyer
) -> None:
    found = pointers(await ada.send("PUT", body=body))
    assert found == expected if expected is not None else "/shipping/address/country" in found


@pytest.mark.parametrize("method", ["GET", "PATCH"])
async def test_another_customers_profile_does_not_exist(
    method: str, ada: AccountBuyer, eve: AccountBuyer
) -> None:
    await ada.send("PUT")
    body: Any = {} if method == "PATCH" else None
    theirs = await eve.send(method, body=body, of="ada", headers={"If-Match": "*"})
    nobodys = await eve.send(method, body=body, of="nobody", headers={"If-Match": "*"})
    assert theirs.status_code == nobodys.status_code == 404
    assert {**theirs.json(), "instance": "", "requestId": ""} == {
        **nobodys.json(),
        "instance": "",
        "requestId": "",
    }


async def test_support_reads_any_profile_changes_none_and_creates_none(
    ada: AccountBuyer, support: AccountBuyer, sandbox: Sandbox, database: asyncpg.Connection
) -> None:
    await ada.send("PUT", body={"email": "ada@example.com"})
    assert (await support.get(of="ada")).json()["email"] == "ada@example.com"
    assert (await support.get(of="nobody")).status_code == 404
    assert len((await sandbox.get("/customers"))["data"]) == 1
    change = await support.send("PATCH", body={"locale": "en-US"}, of="ada", headers={"If-Match": "*"})
    assert change.status_code == 404
    rows = await database.fetch("SELECT customer_id, operation FROM audit_record ORDER BY id")
    assert [row["customer_id"] for row in rows] == ["ada", "nobody"]


@pytest.mark.parametrize(("method", "below"), [("PUT", ""), ("GET", ""), ("PATCH", ""), ("GET", "/export")])
async def test_a_request_without_a_valid_token_is_refused(
    method: str, below: str, ada: AccountBuyer, sandbox: Sandbox
) -> None:
    body: Any = None if method == "GET" else {}
    expired = AccountBuyer(ada.portal, await sandbox.token("ada", expiresIn=-60))
    for buyer in (AccountBuyer(ada.portal, {}), expired):
        answer = await buyer.send(method, below, body, headers={"If-Match": "*"})
        assert answer.status_code == 401
    assert await sandbox.count("GET /customers/{id}") == 0


async def test_an_outage_is_a_503_with_a_retry_after(ada: AccountBuyer, sandbox: Sandbox) -> None:
    await sandbox.fault("status", status=503, path="/customers*")
    answer = await ada.send("PUT")
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_a_registration_whose_answer_was_lost_can_be_repeated(
    ada: AccountBuyer, sandbox: Sandbox
) -> None:
    await sandbox.fault("reset", method="POST", path="/customers", times=1, afterwards=True)
    assert (await ada.send("PUT", body={"email": "ada@example.com"})).status_code == 503
    again = await ada.send("PUT", body={"email": "ada@example.com"})
    assert (again.status_code, again.json()["email"]) == (200, "ada@example.com")


async def test_codes_and_messages_of_digital_river_stay_in_the_log(
    ada: AccountBuyer, sandbox: Sandbox
) -> None:
    await ada.get()
    await sandbox.fault("status", status=400, method="POST", path="/customers/{id}")
    for method, below, body in (
        ("PATCH", "", {"email": "ada@example.com"}),
        ("PUT", "/shipping-address", {**SHIPPING, "address": ADDRESS}),
    ):
        answer = await ada.send(method, below, body, headers={} if below else {"If-Match": "*"})
        assert answer.status_code == 422, answer.text
        assert set(answer.json()) == {"type", "title", "status", "detail", "instance", "requestId"}
        assert "fault" not in answer.text.lower()
