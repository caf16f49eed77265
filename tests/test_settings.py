"""Production starts with complete and safe settings; otherwise it reports every mistake and stops."""

import pytest

from app.settings import Settings, UnusableSettings, read_settings

GOOD = {
    "PORTAL_DATABASE_URL": "postgresql://portal@db/portal?sslmode=require",
    "PORTAL_DIGITAL_RIVER_SECRET_KEY": "sk_live_0123456789",
    "PORTAL_DIGITAL_RIVER_PUBLIC_KEY": "pk_live_0123456789",
    "PORTAL_LIVE_MODE": "true",
    "PORTAL_WEBHOOK_SECRETS": '["whs_0123456789abcdef"]',
    "PORTAL_OIDC_ISSUER": "https://id.example.com",
    "PORTAL_OIDC_AUDIENCE": "portal",
    "PORTAL_PUBLIC_URL": "https://portal.example.com",
}


def configure_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment says GOOD, and nothing else of the portal."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"PORTAL_{name.upper()}", raising=False)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(autouse=True)
def _production(monkeypatch: pytest.MonkeyPatch) -> None:
    configure_well(monkeypatch)


def test_complete_settings_start_in_production_by_default() -> None:
    settings = read_settings()
    assert settings.environment == "production"
    assert settings.requests_per_second == 250


@pytest.mark.parametrize("name", sorted(GOOD))
def test_each_missing_value_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(name)
    with pytest.raises(UnusableSettings, match=name):
        read_settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORTAL_DIGITAL_RIVER_URL", "http://api.digitalriver.com"),
        ("PORTAL_OIDC_ISSUER", "http://id.example.com"),
        ("PORTAL_WEBHOOK_SECRETS", '["short"]'),
        ("PORTAL_DIGITAL_RIVER_SECRET_KEY", "sk_test_0123456789"),
        ("PORTAL_DIGITAL_RIVER_PUBLIC_KEY", "pk_test_0123456789"),
        ("PORTAL_LIVE_MODE", "false"),
        ("PORTAL_PUBLIC_URL", "http://portal.example"),
        ("PORTAL_DATABASE_URL", "postgresql://portal@db/portal"),
        ("PORTAL_DATABASE_URL", "postgresql://portal@postgres/portal?sslmode=disable"),
        ("PORTAL_DATABASE_URL", "postgresql://portal@db/portal?sslmode=allow"),
        ("PORTAL_DATABASE_URL", "postgresql://portal@localhost,db/portal?sslmode=prefer"),
        ("PORTAL_DATABASE_URL", "postgresql://portal@localhost/portal?ssl=true"),
        ("PORTAL_DIGITAL_RIVER_SECRET_KEY", "pk_live_0123456789"),
        ("PORTAL_CORS_ORIGINS", '["*"]'),
        ("PORTAL_CORS_HEADERS", '["*"]'),
        ("PORTAL_CORS_HEADERS", '["X-A, X-B"]'),
        ("PORTAL_FILE_LINK_HOSTS", '["https://files.example"]'),
        ("PORTAL_FILE_LINK_HOSTS", '["files.example/links"]'),
        ("PORTAL_FILE_LINK_HOSTS", '["*"]'),
        ("PORTAL_FILE_LINK_HOSTS", '["*.com"]'),
        ("PORTAL_FILE_LINK_HOSTS", '[""]'),
        ("PORTAL_PROXIED_DOWNLOADS", "100"),
        ("PORTAL_PROXIED_DOWNLOADS_PER_BUYER", "0"),
        ("PORTAL_WEBHOOK_TOLERANCE", "0"),
        ("PORTAL_FILE_LINK_LIFETIME", "60"),
        ("PORTAL_PORT", "eighty"),
        ("PORTAL_RATE_LIMIT_PER_BUYER", "0"),
        ("PORTAL_RATE_LIMIT_PER_ADDRESS", "0"),
        ("PORTAL_TRUSTED_PROXIES", '["*"]'),
        ("PORTAL_TRUSTED_PROXIES", '["0.0.0.0/0"]'),
        ("PORTAL_TRUSTED_PROXIES", '["::/0"]'),
        ("PORTAL_TRUSTED_PROXIES", '["10.0.0.1/8"]'),
    ],
)
def test_each_unsafe_value_is_refused(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UnusableSettings, match=name):
        read_settings()


@pytest.mark.parametrize("name", ["PORTAL_WEBHOOK_SECRETS", "PORTAL_CORS_ORIGINS", "PORTAL_TRUSTED_PROXIES"])
@pytest.mark.parametrize(
    "value", ["whs_no_json_at_all", '["whs_cut_off', '"whs_one_text"', '{"whs": "secret"}', "7"]
)
def test_a_value_that_is_no_json_list_is_named_by_its_variable(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("PORTAL_PORT", "eighty")
    with pytest.raises(UnusableSettings, match="PORTAL_PORT: ") as refused:
        read_settings()
    assert f"  {name}: must be a JSON list" in str(refused.value).splitlines()
    assert "whs" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://portal@localhost/portal",
        "postgresql://portal@[::1]/portal?sslmode=disable",
        "postgresql:///portal?host=/run/postgresql",
        "postgresql://portal@db/portal?sslmode=require",
        "postgresql://portal@db/portal?sslrootcert=system",
    ],
)
def test_a_database_on_this_machine_or_behind_tls_is_good_for_production(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORTAL_DATABASE_URL", url)
    assert read_settings().database_url.get_secret_value() == url


def test_development_takes_any_database_and_follows_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTAL_ENVIRONMENT", "development")
    monkeypatch.setenv("PORTAL_DATABASE_URL", "postgresql://portal@postgres/portal")
    monkeypatch.delenv("PORTAL_PUBLIC_URL")
    assert read_settings().public_url == ""


def test_every_mistake_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PORTAL_OIDC_AUDIENCE")
    monkeypatch.setenv("PORTAL_DIGITAL_RIVER_URL", "http://far")
    with pytest.raises(UnusableSettings, match=r"(?s)OIDC_AUDIENCE.*DIGITAL_RIVER_URL"):
        read_settings()


def test_no_complaint_shows_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTAL_WEBHOOK_SECRETS", '["whs_secret"]')
    monkeypatch.setenv("PORTAL_LIVE_MODE", "perhaps")
    with pytest.raises(UnusableSettings) as refused:
        read_settings()
    assert "whs_secret" not in str(refused.value)


def test_settings_show_no_secret_when_printed() -> None:
    assert "0123456789" not in repr(read_settings()).replace("pk_live_0123456789", "")
