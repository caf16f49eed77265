"""Every saved method is listed, whatever its type, without data that could be misused."""

from datetime import UTC, datetime

import asyncpg
import pytest

from tests.support.buyers import PaymentBuyer
from tests.support.sandbox import Sandbox

TYPES = {
    "alipayCn": "Alipay",
    "applePay": "Apple Pay",
    "bancontact": "Bancontact",
    "bnpParibas": "BNP Paribas",
    "ccavenue": "CCAvenue",
    "creditCard": "Visa ending in 1111",
    "directDebit": "SEPA Direct Debit",
    "fpxOnlineBanking": "FPX online banking",
    "googlePay": "Google Pay (Visa ending in 1111)",
    "klarnaCredit": "Klarna",
    "klarnaCreditRecurring": "Klarna",
    "konbini": "Konbini",
    "msts": "TreviPay",
    "payPalBilling": "PayPal",
    "payco": "PAYCO",
    "somethingOfTomorrow": "Something Of Tomorrow",
    "wireTransfer": "Wire transfer",
}


async def test_a_buyer_unknown_to_digital_river_has_saved_nothing(
    ada: PaymentBuyer, sandbox: Sandbox
) -> None:
    assert await ada.saved() == []
    assert (await sandbox.client.get("/customers/ada")).status_code == 404


async def test_methods_of_every_type_are_listed_and_leak_nothing(ada: PaymentBuyer, sandbox: Sandbox) -> None:
    await sandbox.post("/customers", {"id": "ada"})
    minted = [
        await sandbox.post("/_sandbox/sources", {"type": name, "customerId": "ada", "owner": None})
        for name in TYPES
    ]
    answer = await ada.send("GET", "")
    shown = answer.json()["data"]
    assert {method["type"]: method["label"] for method in shown} == TYPES
    assert [method["id"] for method in shown] == [source["id"] for source in minted]
    assert not any(method["isExpired"] for method in shown)
    for source in minted:
        secrets = [source["clientSecret"], source["creationIp"], "00700", "EC-1HD67063RG318840B", "redirects"]
        assert not [secret for secret in secrets if secret in answer.text]


async def test_a_card_that_has_expired_is_listed_as_such(ada: PaymentBuyer) -> None:
    now = datetime.now(UTC)
    last_month = (now.year - (now.month == 1), (now.month - 2) % 12 + 1)
    next_month = (now.year + now.month // 12, now.month % 12 + 1)
    for year, month in (last_month, next_month):
        source_id = await ada.enter(expirationMonth=month, expirationYear=year)
        (await ada.save(source_id)).raise_for_status()
    assert [method["isExpired"] for method in await ada.saved()] == [True, False]


async def test_support_sees_what_the_buyer_sees_and_others_see_nothing(
    ada: PaymentBuyer, bob: PaymentBuyer, sandbox: Sandbox, database: asyncpg.Connection
) -> None:
    await ada.save(await ada.enter())
    support = await sandbox.token("sue", scopes=["portal:support"])
    seen = await bob.send("GET", "", customer="ada", headers=support)
    assert (seen.status_code, seen.json()["data"]) == (200, await ada.saved())
    (record,) = await database.fetch("SELECT subject, customer_id, operation FROM audit_record")
    assert tuple(record) == ("sue", "ada", "GET /v1/customers/{customerId}/payment-sources")
    assert (await bob.send("GET", "", customer="ada")).status_code == 404
    assert (await ada.send("GET", "", customer="ada")).status_code == 200


@pytest.mark.parametrize("name", ["limit", "cursor", "customerId"])
async def test_the_list_accepts_no_filter(name: str, ada: PaymentBuyer) -> None:
    answer = await ada.send("GET", f"?{name}=1")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, f"/query/{name}")
