"""Every knob once: typed, secrets masked, and unsafe production values refused at start."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, IPvAnyNetwork, SecretStr, StringConstraints, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

LIVE_REQUESTS_PER_SECOND = 250
TEST_REQUESTS_PER_SECOND = 25
MINIMUM_SECRET_LENGTH = 16

# With a star for the hosts below a domain, never below a bare one like `com`.
HostName = Annotated[
    str, StringConstraints(pattern=r"^(\*\.[a-z0-9-]+\.)?[a-z0-9-]+(\.[a-z0-9-]+)*$", max_length=253)
]

FieldName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$", max_length=100)]


class UnusableSettings(SystemExit):
    """The process must not start; the message names each setting and what is wrong with it."""


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

    oidc_issuer: str = ""
    oidc_audience: str = ""
    oidc_customer_claim: str = "sub"

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
    # Where frontends reach this API; without it, what each request was sent to.
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

    @model_validator(mode="after")
    def _complete_and_safe(self) -> Self:
        problems = [*self._missing()]
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
            "PORTAL_OIDC_AUDIENCE": self.oidc_audience,
            "PORTAL_OIDC_CUSTOMER_CLAIM": self.oidc_customer_claim,
        }
        if self.environment == "production":
            required |= {
                "PORTAL_DATABASE_URL": self.database_url.get_secret_value(),
                "PORTAL_DIGITAL_RIVER_PUBLIC_KEY": self.digital_river_public_key,
                "PORTAL_LIVE_MODE": self.live_mode is not None,
            }
        return [f"{name} is missing" for name, value in required.items() if not value]

    def _unsafe(self) -> list[str]:
        key = self.digital_river_secret_key.get_secret_value()
        short = [s for s in self.webhook_secrets if len(s.get_secret_value()) < MINIMUM_SECRET_LENGTH]
        is_test = "_test_" in key
        checks = {
            "PORTAL_DIGITAL_RIVER_URL must start with https://": self.digital_river_url.startswith(
                "https://"
            ),
            "PORTAL_OIDC_ISSUER must start with https://": self.oidc_issuer.startswith("https://"),
            f"PORTAL_WEBHOOK_SECRETS must have {MINIMUM_SECRET_LENGTH} characters or more each": not short,
            "PORTAL_DIGITAL_RIVER_SECRET_KEY must be a confidential key (sk_…)": key.startswith("sk_"),
            "PORTAL_DIGITAL_RIVER_PUBLIC_KEY must be a public key (pk_…)": (
                self.digital_river_public_key.startswith("pk_")
            ),
            # Digital River docs, API keys: test keys carry `_test_`, and the key alone decides the mode.
            "PORTAL_LIVE_MODE must be true with a live key and false with a test key": (
                self.live_mode is None or self.live_mode != is_test
            ),
            "PORTAL_DIGITAL_RIVER_SECRET_KEY and …_PUBLIC_KEY must be of one mode": (
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
    def is_live(self) -> bool:
        """Which mode's events are processed; development is test mode unless told otherwise."""
        return bool(self.live_mode)

    @property
    def requests_per_second(self) -> int:
        """The outbound budget of this process (Digital River docs, Rate limits)."""
        if self.digital_river_requests_per_second:
            return self.digital_river_requests_per_second
        return LIVE_REQUESTS_PER_SECOND if self.is_live else TEST_REQUESTS_PER_SECOND


def _is_safe_or_unset(url: str) -> bool:
    return not url or url.startswith("https://")


def read_settings() -> Settings:
    """The settings of this process.

    Raises:
        UnusableSettings: something is missing, malformed or unsafe; all of it is named at once.
    """
    try:
        return Settings()
    except SettingsError as error:
        raise UnusableSettings(f"The portal cannot start:\n  {error} (JSON is needed)") from None
    except ValidationError as error:
        lines = []
        for problem in error.errors(include_url=False, include_input=False):
            name = "".join(f"PORTAL_{str(part).upper()}: " for part in problem["loc"][:1])
            lines += [f"  {name}{line}" for line in problem["msg"].removeprefix("Value error, ").split("; ")]
        raise UnusableSettings("The portal cannot start:\n" + "\n".join(lines)) from None
