"""Every setting: its name, type, default and meaning. `docs/configuration.md` is generated from this file.

Each class is one section of that page. Its docstring is the heading, a full stop and an introduction.
"""

from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, IPvAnyNetwork, SecretStr, StringConstraints
from pydantic.alias_generators import to_camel
from pydantic_settings import BaseSettings, SettingsConfigDict

# Asymmetric only: a public key must never serve as a shared secret (RFC 8725 §3.1).
Algorithm = Literal[
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
    "Ed448",
]

# `*.` means all hosts below a domain. A bare top-level domain like `*.com` does not match.
HostName = Annotated[
    str, StringConstraints(pattern=r"^(\*\.[a-z0-9-]+\.)?[a-z0-9-]+(\.[a-z0-9-]+)*$", max_length=253)
]

FieldName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$", max_length=100)]


class TrustedIssuer(BaseModel):
    """One name under which the shop's identity provider signs access tokens."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, populate_by_name=True)

    issuer: str
    audience: str = ""
    jwks_url: str = ""


class SettingsSection(BaseSettings):
    """The base of all sections: the prefix of the variables."""

    model_config = SettingsConfigDict(env_prefix="PORTAL_", frozen=True, extra="ignore")


class ProcessSettings(SettingsSection):
    """Process. These settings apply to every process."""

    environment: Literal["development", "production"] = Field(
        "production",
        description="`production` refuses to start on missing or unsafe values. `development` allows plain "
        "HTTP and, in a checkout, starts an embedded PostgreSQL if `PORTAL_DATABASE_URL` is not set.",
    )
    data_dir: Path = Field(
        Path(".data"), description="Folder of the embedded PostgreSQL. Only development uses it."
    )


class DatabaseSettings(SettingsSection):
    """PostgreSQL. See [the connection to PostgreSQL](operations.md#the-connection-to-postgresql)."""

    database_url: SecretStr = Field(
        SecretStr(""),
        description="`postgresql://user:password@host:port/database?sslmode=verify-full`, as psql reads it. "
        "Required in production.",
    )
    database_pool: int = Field(
        10, ge=1, le=200, description="Connections in each of the two connection pools of a process."
    )


class DigitalRiverSettings(SettingsSection):
    """Digital River. The account and the limits of its API keys."""

    digital_river_url: str = Field(
        "https://api.digitalriver.com", description="Base URL of Digital River's API."
    )
    digital_river_secret_key: SecretStr = Field(
        SecretStr(""),
        description="Confidential API key (`sk_…`). Required. List cursors and rate-limit keys are derived "
        "from it, so all processes need the same one.",
    )
    digital_river_public_key: str = Field(
        "",
        description="Public API key (`pk_…`) that browsers hand to DigitalRiver.js. Required in production.",
    )
    digital_river_version: str = Field(
        "2021-12-13", description="API version, sent as the header `DigitalRiver-Version`."
    )
    digital_river_requests_per_second: int = Field(
        0,
        ge=0,
        description="Calls per second that this process may make. 0 means the documented limit of the key: "
        "250 in live mode, 25 in test mode. Divide the limit if several processes share a key.",
    )
    dropin_return_url: str = Field(
        "", description="URL to which Drop-in sends the buyer after a redirect payment method succeeds."
    )
    dropin_cancel_url: str = Field(
        "", description="URL to which Drop-in sends the buyer after a redirect payment method is cancelled."
    )
    file_link_lifetime: int = Field(
        3600, ge=600, le=86400, description="Seconds that a new public link to a document works."
    )
    file_link_hosts: tuple[HostName, ...] = Field(
        ("files.digitalriver.com", "files-test.digitalriver.com"),
        description="JSON list of the hosts to which links to documents may lead, beside the host of "
        "`PORTAL_DIGITAL_RIVER_URL`. `*.example.com` means every host below `example.com`.",
    )
    proxied_downloads: int = Field(
        32,
        ge=1,
        le=90,
        description="Documents that one process passes through at the same time (`disposition=proxy`). "
        "Each uses one of the process's 100 connections to Digital River until the reader has it all.",
    )
    proxied_downloads_per_buyer: int = Field(
        4, ge=1, le=90, description="How many of these one buyer may have at the same time."
    )


class WebhookSettings(SettingsSection):
    """Webhooks. What is accepted at `/webhooks/digital-river`."""

    live_mode: bool | None = Field(
        None,
        description="`true` with a live key, `false` with a test key. Events of the other mode are buried. "
        "Required in production; development treats a missing value as `false`.",
    )
    webhook_secrets: tuple[SecretStr, ...] = Field(
        (), description="JSON list of the signing secrets of the webhook, the newest first. Required."
    )
    webhook_tolerance: int = Field(
        300,
        ge=1,
        le=3600,
        description="Seconds that a signature's time may differ from this machine's clock, either way.",
    )


class SignInSettings(SettingsSection):
    """Sign-in. How access tokens are verified. See [identity.md](identity.md) for examples."""

    oidc_issuer: str = Field(
        "", description="`iss` of the access tokens, exactly as they write it. Required."
    )
    oidc_audience: str = Field(
        "", description="What `aud` must contain. Required unless `PORTAL_OIDC_ACCEPTED_CLIENT_IDS` is set."
    )
    oidc_customer_claim: str = Field(
        "sub",
        description="Claim that holds the Digital River customer id: a name, or a path with dots. Its value "
        "is text, a whole number or a list of one of them.",
    )
    oidc_jwks_url: str = Field(
        "",
        description="URL of the issuer's public keys. Without it, the issuer's discovery document names "
        "the URL.",
    )
    oidc_additional_issuers: tuple[TrustedIssuer, ...] = Field(
        (),
        description="JSON list of other names of the same provider, each with `issuer` and optionally "
        "`jwksUrl` and `audience` (by default `PORTAL_OIDC_AUDIENCE`).",
    )
    oidc_accepted_client_ids: tuple[str, ...] = Field(
        (),
        description="JSON list of client ids. If set, only tokens of these clients are accepted, and their "
        "access tokens may have no `aud`.",
    )
    oidc_algorithms: tuple[Algorithm, ...] = Field(
        get_args(Algorithm), description="JSON list of the accepted signature algorithms."
    )
    oidc_require_access_token_type: bool = Field(
        default=False, description="`true` accepts only tokens with the header `typ: at+jwt` (RFC 9068)."
    )
    oidc_scope_claims: tuple[str, ...] = Field(
        ("scope", "scp"),
        description="JSON list of the claims that grant `portal:…` scopes: names, or paths with dots.",
    )
    oidc_scope_prefix: str = Field("", description="The prefix that the provider puts before `portal:…`.")


class HttpSettings(SettingsSection):
    """HTTP. Where the API listens, and for whom it answers."""

    host: str = Field("127.0.0.1", description="Address on which the API and the worker's metrics listen.")
    port: int = Field(8000, ge=0, le=65535, description="Port of the API. 0 takes a free one.")
    public_url: str = Field(
        "",
        description="Where frontends reach the API (`https://…`). `contentUrl` of documents is made from it. "
        "Required in production; development uses the address that the request was sent to.",
    )
    trusted_proxies: tuple[IPvAnyNetwork, ...] = Field(
        (),
        description="JSON list of the addresses or networks of the proxies in front. The API believes "
        "`X-Forwarded-For` from them and from this machine.",
    )
    cors_origins: tuple[str, ...] = Field(
        (), description="JSON list of the origins of web pages that may call the API."
    )
    cors_headers: tuple[FieldName, ...] = Field(
        (), description="JSON list of request headers that these pages may send in addition."
    )
    rate_limit_per_buyer: int = Field(
        300, ge=1, le=1_000_000, description="Requests a minute of one buyer. All may come at once."
    )
    rate_limit_per_address: int = Field(
        3000,
        ge=1,
        le=1_000_000,
        description="Requests a minute from one address. An office or a mobile carrier may share one.",
    )
    metrics_token: SecretStr = Field(
        SecretStr(""), description="Bearer token that `/metrics` requires. Empty requires none."
    )


class WorkerSettings(SettingsSection):
    """Worker. How events are processed."""

    worker_concurrency: int = Field(
        200,
        ge=1,
        le=200,
        description="Most events that one worker handles at the same time. It takes fewer if the calls that "
        "its key allows in a second serve fewer.",
    )
    worker_lease: float = Field(
        30.0,
        ge=1.0,
        le=600.0,
        description="Seconds after which another worker takes over the events of a worker that died.",
    )
    worker_grace: float = Field(
        10.0, ge=0.1, le=300.0, description="Seconds that a worker has to finish after SIGTERM."
    )
    worker_metrics_port: int = Field(
        0, ge=0, le=65535, description="Port of the worker's metrics. 0 publishes none."
    )
    sweep_interval: int = Field(
        600, ge=10, le=86400, description="Seconds between two sweeps for missed events."
    )


# Digital River docs, Rate limits.
_LIVE_REQUESTS_PER_SECOND = 250
_TEST_REQUESTS_PER_SECOND = 25


class SettingsFields(
    ProcessSettings,
    DatabaseSettings,
    DigitalRiverSettings,
    WebhookSettings,
    SignInSettings,
    HttpSettings,
    WorkerSettings,
):
    """All settings, and what follows directly from them."""

    @property
    def oidc_issuers(self) -> tuple[TrustedIssuer, ...]:
        """All issuers of the identity provider, each with its audience. `PORTAL_OIDC_ISSUER` is the first."""
        main = TrustedIssuer(
            issuer=self.oidc_issuer, audience=self.oidc_audience, jwks_url=self.oidc_jwks_url
        )
        others = (
            trusted.model_copy(update={"audience": trusted.audience or self.oidc_audience})
            for trusted in self.oidc_additional_issuers
        )
        return (main, *others)

    @property
    def is_live(self) -> bool:
        """Whether events of live mode are processed, else those of test mode. The default is test mode."""
        return bool(self.live_mode)

    @property
    def requests_per_second(self) -> int:
        """How many calls per second this process may make (Digital River docs, Rate limits)."""
        if self.digital_river_requests_per_second:
            return self.digital_river_requests_per_second
        return _LIVE_REQUESTS_PER_SECOND if self.is_live else _TEST_REQUESTS_PER_SECOND
