"""If settings of the identity provider contradict each other, the process names them and does not start."""

import json
import re
import shlex
from pathlib import Path

import pytest

from app.settings import Settings, UnusableSettings, read_settings
from tests.identity.issuer import AUDIENCE, ISSUER, settings
from tests.test_settings import GOOD, configure_well

V1 = "https://issuer.test/v1"


@pytest.fixture(autouse=True)
def _production(monkeypatch: pytest.MonkeyPatch) -> None:
    configure_well(monkeypatch)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORTAL_OIDC_ALGORITHMS", []),
        ("PORTAL_OIDC_ALGORITHMS", ["none"]),
        ("PORTAL_OIDC_ALGORITHMS", ["RS256", "HS256"]),
        ("PORTAL_OIDC_ADDITIONAL_ISSUERS", [{"issuer": GOOD["PORTAL_OIDC_ISSUER"]}]),
        ("PORTAL_OIDC_ADDITIONAL_ISSUERS", [{"issuer": V1}, {"issuer": V1, "audience": "other"}]),
        ("PORTAL_OIDC_ADDITIONAL_ISSUERS", [{"issuer": ""}]),
        ("PORTAL_OIDC_ADDITIONAL_ISSUERS", [{"audience": "portal"}]),
        ("PORTAL_OIDC_ADDITIONAL_ISSUERS", [{"issuer": V1, "audiance": "portal"}]),
        ("PORTAL_OIDC_ADDITIONAL_ISSUERS", [{"issuer": "http://issuer.test"}]),
        ("PORTAL_OIDC_ADDITIONAL_ISSUERS", [{"issuer": V1, "jwksUrl": "http://keys.test"}]),
        ("PORTAL_OIDC_ADDITIONAL_ISSUERS", [{"issuer": V1, "jwksUrl": "keys.test"}]),
        ("PORTAL_OIDC_SCOPE_CLAIMS", []),
        ("PORTAL_OIDC_SCOPE_CLAIMS", ["scope scp"]),
        ("PORTAL_OIDC_SCOPE_CLAIMS", [""]),
        ("PORTAL_OIDC_ACCEPTED_CLIENT_IDS", [""]),
        ("PORTAL_OIDC_ACCEPTED_CLIENT_IDS", [" web"]),
        ("PORTAL_OIDC_CUSTOMER_CLAIM", "customer id"),
        ("PORTAL_OIDC_CUSTOMER_CLAIM", " sub"),
        ("PORTAL_OIDC_SCOPE_PREFIX", "api://x portal"),
        ("PORTAL_OIDC_SCOPE_PREFIX", "portal:"),
        ("PORTAL_OIDC_SCOPE_PREFIX", "portal"),
        ("PORTAL_OIDC_JWKS_URL", "http://keys.test/jwks"),
        ("PORTAL_OIDC_JWKS_URL", "keys.test/jwks"),
        ("PORTAL_OIDC_REQUIRE_ACCESS_TOKEN_TYPE", "perhaps"),
    ],
)
def test_contradictory_and_unsafe_settings_are_named(
    name: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value if isinstance(value, str) else json.dumps(value))
    with pytest.raises(UnusableSettings, match=name):
        read_settings()


def test_clients_may_replace_the_audience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PORTAL_OIDC_AUDIENCE")
    with pytest.raises(UnusableSettings, match=r"PORTAL_OIDC_AUDIENCE.*PORTAL_OIDC_ACCEPTED_CLIENT_IDS"):
        read_settings()
    monkeypatch.setenv("PORTAL_OIDC_ACCEPTED_CLIENT_IDS", '["web"]')
    assert read_settings().oidc_issuers[0].audience == ""


def test_an_issuer_whose_keys_have_an_address_need_not_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTAL_OIDC_ISSUER", "our-sign-in")
    with pytest.raises(UnusableSettings, match="PORTAL_OIDC_ISSUER"):
        read_settings()
    monkeypatch.setenv("PORTAL_OIDC_JWKS_URL", "https://keys.test/jwks")
    assert read_settings().oidc_issuers[0].issuer == "our-sign-in"


def test_another_issuer_without_an_audience_has_the_first_ones() -> None:
    chosen = settings(oidc_additional_issuers=[{"issuer": V1}, {"issuer": f"{V1}/2", "audience": "api://x"}])
    found = [(one.issuer, one.audience) for one in chosen.oidc_issuers]
    assert found == [(ISSUER, AUDIENCE), (V1, AUDIENCE), (f"{V1}/2", "api://x")]


_EXAMPLE = re.compile(r"^### (.+?)\n\n```\n(.+?)```", re.MULTILINE | re.DOTALL)
PROVIDERS = dict(_EXAMPLE.findall((Path(__file__).parents[2] / "docs" / "identity.md").read_text()))


def test_the_usual_providers_have_an_example() -> None:
    assert set(PROVIDERS) == {"Keycloak", "Auth0", "Amazon Cognito", "Microsoft Entra ID", "Okta"}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_each_example_of_the_documentation_starts(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PORTAL_OIDC_AUDIENCE")
    lines = shlex.split(re.sub(r"<[^>]+>", "0f8fad5b", PROVIDERS[provider]))
    values = dict(line.split("=", 1) for line in lines)
    assert all(name.removeprefix("PORTAL_").lower() in Settings.model_fields for name in values)
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    assert read_settings().oidc_issuer == values["PORTAL_OIDC_ISSUER"]
