"""Every setting of the sandbox, read once from the environment (prefix `SANDBOX_`)."""

from typing import Literal

from pydantic_settings import BaseSettings, SettingsConfigDict

SignatureTimestamp = Literal["milliseconds", "seconds", "iso"]


class Settings(BaseSettings):
    """Frozen for the life of one process. Delays are seconds of the real clock."""

    model_config = SettingsConfigDict(env_prefix="SANDBOX_", frozen=True)

    host: str = "127.0.0.1"
    port: int = 8800
    # The sandbox's own address in URLs. If empty: the address it listens on.
    public_url: str = ""
    # The address in public file links, if browsers reach the sandbox by another address.
    link_url: str = ""
    # A webhook for invoices and credit memos that exists from the start, and its signing secret.
    webhook_address: str = ""
    webhook_secret: str = ""
    secret_key: str = "sk_test_sandbox"  # noqa: S105 - the sandbox's public default, valid nowhere else
    public_key: str = "pk_test_sandbox"
    tether: bool = False
    capture_delay: float = 0.2
    retry_delay: float = 1.0
    # Digital River, API structure: three retries in test mode.
    retries: int = 3
    # Digital River, Best practices: an endpoint has 3,000 ms to answer.
    delivery_timeout: float = 3.0
    # Digital River, rate limits: 25 requests per second and key in test mode. 0 means no limit.
    rate_limit: int = 25
    # The unit is undocumented; the official cartridge treats it as opaque text.
    signature_timestamp: SignatureTimestamp = "milliseconds"
    audience: str = "portal"
    # The logs of the control API keep this many calls and this many deliveries, the newest ones.
    log_entries: int = 20_000

    @property
    def live_mode(self) -> bool:
        """Digital River, API keys: the mode belongs to the key (`sk_test_…` is test)."""
        return not self.secret_key.startswith("sk_test_")
