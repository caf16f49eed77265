"""Every knob of the sandbox, read once from the environment (prefix `SANDBOX_`)."""

from typing import Literal

from pydantic_settings import BaseSettings, SettingsConfigDict

SignatureTimestamp = Literal["milliseconds", "seconds", "iso"]


class Settings(BaseSettings):
    """Frozen for the life of one process. Delays are seconds of the real clock, never of the moved one."""

    model_config = SettingsConfigDict(env_prefix="SANDBOX_", frozen=True)

    host: str = "127.0.0.1"
    port: int = 8800
    # What the sandbox calls itself in URLs; empty: the address it listens on.
    public_url: str = ""
    # Where browsers reach it, when that is another address: public file links lead there.
    link_url: str = ""
    # A webhook that is there from the start, for invoices and credit memos, and the secret that signs for it.
    webhook_address: str = ""
    webhook_secret: str = ""
    secret_key: str = "sk_test_sandbox"  # noqa: S105 - the sandbox's well-known key, opens nothing else
    public_key: str = "pk_test_sandbox"
    tether: bool = False
    capture_delay: float = 0.2
    retry_delay: float = 1.0
    # Digital River, API structure: three further tries in test mode.
    retries: int = 3
    # Digital River, Best practices: an endpoint has 3,000 ms to answer.
    delivery_timeout: float = 3.0
    # Digital River, rate limits: 25 requests per second and key in test mode. 0 means no limit.
    rate_limit: int = 25
    # The unit is undocumented; the official cartridge treats it as opaque text.
    signature_timestamp: SignatureTimestamp = "milliseconds"
    audience: str = "portal"
    # How many calls and how many deliveries the logs of the control API hold; older ones are forgotten.
    log_entries: int = 20_000

    @property
    def live_mode(self) -> bool:
        """Digital River, API keys: the mode belongs to the key (`sk_test_…` is test)."""
        return not self.secret_key.startswith("sk_test_")
