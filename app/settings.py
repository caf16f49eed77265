"""Every knob once: typed, secrets masked, and unsafe production values refused at start."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    SecretStr,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from app.database_url import DatabaseUrl, UnusableDatabaseUrl

LIVE_REQUESTS_PER_SECOND = 250
TEST_REQUESTS_PER_SECOND = 25
MINIMUM_SECRET_LENGTH = 16
# pydantic's words for what is no JSON, or other JSON, speak of Python.
_JSON_ERRORS = {
    **dict.fromkeys(("tuple_type", "list_type", "set_type"), "must be a JSON list"),
    **dict.fromkeys(("dict_type", "model_type"), "must be a JSON object"),
}

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

# With a star for the hosts below a domain, never below a bare one like `com`.
HostName = Annotated[
    str, StringConstraints(pattern=r"^(\*\.[a-z0-9-]+\.)?[a-z0-9-]+(\.[a-z0-9-]+)*$", max_length=253)
]

FieldName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$", max_length=100)]


class UnusableSettings(SystemExit):
    """The process must not start; the message names each setting and what is wrong with it."""


class _Environment(EnvSettingsSource):
    """Hands on as text what should be JSON and is not, so that validation names it, with all else."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value


class TrustedIssuer(BaseModel):
    """One name under which the shop's identity provider signs access tokens."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, populate_by_name=True)

    issuer: str
    audience: str = ""
    jwks_url: str = ""


class Settings(BaseSettings):
    """The service's configuration, read from environment variables that start with `PORTAL_`."""

    model_config = SettingsConfigDict(env_prefix="PORTAL_", frozen=True, extra="ignore")

    environment: Literal["development", "production"] = "production"

    database_url: SecretStr = SecretStr("")
    data_dir: Path = Path(".data")
    database_pool: int = Field(10, ge=1, le=200)

    digital_river_url: str = "https://api.digitalriver.com"
    digital_river_secret_key: SecretStr = SecretStr("")
    digital_river_public_key: str = ""
    digital_river_version: str = "2021-12-13"
    digital_river_requests_per_second: int = Field(0, ge=0, description="0: the key's documented limit")

    live_mode: bool | None = None
    webhook_secrets: tuple[SecretStr, ...] = ()
    webhook_tolerance: int = Field(300, ge=1, le=3600)

    oidc_issuer: str = Field("", description="`iss` of the access tokens, letter for letter")
    oidc_audience: str = Field(
        "", description="What `aud` must name; needed unless clients are named instead"
    )
    oidc_customer_claim: str = Field(
        "sub", description="Whose text, number or list of one is the customer id: a name, or a path with dots"
    )
    oidc_jwks_url: str = Field(
        "", description="Where the issuer's keys are, when its discovery document cannot be asked"
    )
    oidc_additional_issuers: tuple[TrustedIssuer, ...] = Field(
        (),
        description="Other names of the same provider: `issuer`, `jwksUrl`, `audience` (else the first's)",
    )
    oidc_accepted_client_ids: tuple[str, ...] = Field(
        (),
        description="Only tokens of these clients are accepted; their access tokens may come without `aud`",
    )
    oidc_algorithms: tuple[Algorithm, ...] = Field(
        get_args(Algorithm), description="Signatures accepted, of keys that are of their kind"
    )
    oidc_require_access_token_type: bool = Field(
        default=False, description="Accept only tokens whose header says `at+jwt` (RFC 9068)"
    )
    oidc_scope_claims: tuple[str, ...] = Field(
        ("scope", "scp"), description="The claims that grant `portal:…`, as names or paths with dots"
    )
    oidc_scope_prefix: str = Field("", description="What the provider puts before `portal:…`")

    file_link_lifetime: int = Field(3600, ge=600, le=86400)
    file_link_hosts: tuple[HostName, ...] = Field(
        ("files.digitalriver.com", "files-test.digitalriver.com"),
        description="Where links to files may lead, beside Digital River's own host; `*.` is any host below",
    )

    dropin_return_url: str = ""
    dropin_cancel_url: str = ""

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    cors_origins: tuple[str, ...] = ()
    cors_headers: tuple[FieldName, ...] = Field(
        (), description="Request headers that pages may send beside those this API reads"
    )
    # Where frontends reach this API; in development, without it, what each request was sent to.
    public_url: str = ""
    # Whose word is taken for where a request came from, beside those of this machine.
    trusted_proxies: tuple[IPvAnyNetwork, ...] = ()

    # Requests a minute; so many at once, too.
    rate_limit_per_buyer: int = Field(300, ge=1, le=1_000_000)
    # An office, or a mobile carrier, may share one address.
    rate_limit_per_address: int = Field(3000, ge=1, le=1_000_000)

    # Each holds one of a process's hundred connections to Digital River for as long as its reader takes.
    proxied_downloads: int = Field(32, ge=1, le=90, description="At once in one process")
    proxied_downloads_per_buyer: int = Field(4, ge=1, le=90, description="At once in one process")

    worker_concurrency: int = Field(16, ge=1, le=200)
    worker_lease: float = Field(30.0, ge=1.0, le=600.0)
    worker_grace: float = Field(10.0, ge=0.1, le=300.0)
    worker_metrics_port: int = Field(0, ge=0, le=65535, description="0: no metrics of the worker")
    sweep_interval: int = Field(600, ge=10, le=86400)

    metrics_token: SecretStr = Field(SecretStr(""), description="Needed for /metrics, when it is set")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *_: PydanticBaseSettingsSource,
        **__: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, _Environment(settings_cls)

    @model_validator(mode="after")
    def _complete_and_safe(self) -> Self:
        problems = [*self._missing(), *self._unusable(), *self._contradictory()]
        if self.environment == "production":
            problems += self._unsafe()
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _missing(self) -> list[str]:
        required: dict[str, object] = {
            "PORTAL_DIGITAL_RIVER_SECRET_KEY": self.digital_river_secret_key.get_secret_value(),
            "PORTAL_WEBHOOK_SECRETS": self.webhook_secrets,
            "PORTAL_OIDC_ISSUER": self.oidc_issuer,
            "PORTAL_OIDC_AUDIENCE (or PORTAL_OIDC_ACCEPTED_CLIENT_IDS)": (
                self.oidc_audience or self.oidc_accepted_client_ids
            ),
            "PORTAL_OIDC_CUSTOMER_CLAIM": self.oidc_customer_claim,
        }
        if self.environment == "production":
            required |= {
                "PORTAL_DATABASE_URL": self.database_url.get_secret_value(),
                "PORTAL_DIGITAL_RIVER_PUBLIC_KEY": self.digital_river_public_key,
                "PORTAL_LIVE_MODE": self.live_mode is not None,
                # Else documents' addresses would follow whatever Host a caller names.
                "PORTAL_PUBLIC_URL": self.public_url,
            }
        return [f"{name} is missing" for name, value in required.items() if not value]

    def _unusable(self) -> list[str]:
        """What is wrong with the database's address and the files that it names."""
        if not (url := self.database_url.get_secret_value()):
            return []
        try:
            address = DatabaseUrl.parse(url)
            address.arguments()
        except UnusableDatabaseUrl as error:
            return [f"PORTAL_DATABASE_URL {error}"]
        if self.environment == "production" and not (address.demands_tls or address.is_local):
            return [
                "PORTAL_DATABASE_URL must demand TLS of another machine: sslmode=verify-full with "
                "sslrootcert, verify-ca or require"
            ]
        return []

    def _contradictory(self) -> list[str]:
        names = [one.issuer for one in self.oidc_issuers]
        is_prefix_of_ours = bool(self.oidc_scope_prefix) and "portal:".startswith(self.oidc_scope_prefix)
        checks = {
            "PORTAL_OIDC_ADDITIONAL_ISSUERS must name each issuer once, and not PORTAL_OIDC_ISSUER again": (
                len({*names}) == len(names)
            ),
            "PORTAL_OIDC_ADDITIONAL_ISSUERS must give an issuer that is not empty": all(names[1:]),
            "PORTAL_OIDC_JWKS_URL and each jwksUrl must start with https:// or http://": all(
                not one.jwks_url or one.jwks_url.startswith(("https://", "http://"))
                for one in self.oidc_issuers
            ),
            "PORTAL_OIDC_ALGORITHMS must name one or more": bool(self.oidc_algorithms),
            "PORTAL_OIDC_SCOPE_CLAIMS must name one or more": bool(self.oidc_scope_claims),
            "PORTAL_OIDC_CUSTOMER_CLAIM must be a name without spaces": _is_one_word(
                self.oidc_customer_claim or "sub"
            ),
            "PORTAL_OIDC_SCOPE_CLAIMS must be names without spaces": all(
                map(_is_one_word, self.oidc_scope_claims)
            ),
            "PORTAL_OIDC_ACCEPTED_CLIENT_IDS must be ids without spaces": all(
                map(_is_one_word, self.oidc_accepted_client_ids)
            ),
            "PORTAL_OIDC_SCOPE_PREFIX must have no spaces, and must not be the portal's own": (
                not self.oidc_scope_prefix or (_is_one_word(self.oidc_scope_prefix) and not is_prefix_of_ours)
            ),
        }
        return [problem for problem, is_fine in checks.items() if not is_fine]

    def _unsafe(self) -> list[str]:
        key = self.digital_river_secret_key.get_secret_value()
        short = [s for s in self.webhook_secrets if len(s.get_secret_value()) < MINIMUM_SECRET_LENGTH]
        is_test = "_test_" in key
        checks = {
            "PORTAL_DIGITAL_RIVER_URL must start with https://": self.digital_river_url.startswith(
                "https://"
            ),
            # The name alone is never asked when the keys have an address of their own.
            "PORTAL_OIDC_ISSUER (or PORTAL_OIDC_JWKS_URL) must start with https://": (
                self.oidc_jwks_url or self.oidc_issuer
            ).startswith("https://"),
            "PORTAL_OIDC_ADDITIONAL_ISSUERS must start with https://": all(
                (one.jwks_url or one.issuer).startswith("https://") for one in self.oidc_additional_issuers
            ),
            f"PORTAL_WEBHOOK_SECRETS must have {MINIMUM_SECRET_LENGTH} characters or more each": not short,
            "PORTAL_DIGITAL_RIVER_SECRET_KEY must be a confidential key (sk_…)": key.startswith("sk_"),
            "PORTAL_DIGITAL_RIVER_PUBLIC_KEY must be a public key (pk_…)": (
                self.digital_river_public_key.startswith("pk_")
            ),
            # Digital River docs, API keys: test keys carry `_test_`, and the key alone decides the mode.
            "PORTAL_LIVE_MODE must be true with a live key and false with a test key": (
                self.live_mode is None or self.live_mode != is_test
            ),
            "PORTAL_DIGITAL_RIVER_SECRET_KEY and PORTAL_DIGITAL_RIVER_PUBLIC_KEY must be of one mode": (
                is_test == ("_test_" in self.digital_river_public_key)
            ),
            "PORTAL_PUBLIC_URL must start with https://": (
                not self.public_url or self.public_url.startswith("https://")
            ),
            "PORTAL_CORS_ORIGINS must name origins, not *": "*" not in self.cors_origins,
            "PORTAL_CORS_HEADERS must name headers, not *": "*" not in self.cors_headers,
            "PORTAL_TRUSTED_PROXIES must name proxies, not everybody": all(
                network.prefixlen for network in self.trusted_proxies
            ),
            "PORTAL_DROPIN_RETURN_URL must start with https://": _is_safe_or_unset(self.dropin_return_url),
            "PORTAL_DROPIN_CANCEL_URL must start with https://": _is_safe_or_unset(self.dropin_cancel_url),
        }
        return [problem for problem, is_fine in checks.items() if not is_fine]

    @property
    def oidc_issuers(self) -> tuple[TrustedIssuer, ...]:
        """All names of the identity provider, each with its audience; the main one first."""
        main = TrustedIssuer(
            issuer=self.oidc_issuer, audience=self.oidc_audience, jwks_url=self.oidc_jwks_url
        )
        others = (
            one.model_copy(update={"audience": one.audience or self.oidc_audience})
            for one in self.oidc_additional_issuers
        )
        return (main, *others)

    @property
    def is_live(self) -> bool:
        """Which mode's events are processed; development is test mode unless told otherwise."""
        return bool(self.live_mode)

    @property
    def requests_per_second(self) -> int:
        """The outbound budget of this process (Digital River docs, Rate limits)."""
        if self.digital_river_requests_per_second:
            return self.digital_river_requests_per_second
        return LIVE_REQUESTS_PER_SECOND if self.is_live else TEST_REQUESTS_PER_SECOND


def _is_one_word(text: str) -> bool:
    return text.isprintable() and len(text.split()) == 1 and text == text.strip()


def _is_safe_or_unset(url: str) -> bool:
    return not url or url.startswith("https://")


def read_settings() -> Settings:
    """The settings of this process.

    Raises:
        UnusableSettings: something is missing, malformed or unsafe; all of it is named at once.
    """
    try:
        return Settings()
    except ValidationError as error:
        lines = []
        for problem in error.errors(include_url=False, include_input=False):
            name = "".join(f"PORTAL_{str(part).upper()}: " for part in problem["loc"][:1])
            told = _JSON_ERRORS.get(problem["type"], problem["msg"].removeprefix("Value error, "))
            lines += [f"  {name}{line}" for line in told.split("; ")]
        raise UnusableSettings("The portal cannot start:\n" + "\n".join(lines)) from None
