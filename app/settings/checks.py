"""Finds settings that are missing, contradictory or unsafe in production. Each problem names its setting."""

from app.database_url import DatabaseUrl, UnusableDatabaseUrl
from app.settings.fields import SettingsFields

MIN_SECRET_LENGTH = 16


def list_problems(settings: SettingsFields) -> list[str]:
    """Why a process must not start with these settings: one line for each problem."""
    problems = [*_missing(settings), *_unusable(settings), *_contradictory(settings)]
    if settings.environment == "production":
        problems += _unsafe(settings)
    return problems


def _missing(settings: SettingsFields) -> list[str]:
    required: dict[str, object] = {
        "PORTAL_DIGITAL_RIVER_SECRET_KEY": settings.digital_river_secret_key.get_secret_value(),
        "PORTAL_WEBHOOK_SECRETS": settings.webhook_secrets,
        "PORTAL_OIDC_ISSUER": settings.oidc_issuer,
        "PORTAL_OIDC_AUDIENCE (or PORTAL_OIDC_ACCEPTED_CLIENT_IDS)": (
            settings.oidc_audience or settings.oidc_accepted_client_ids
        ),
        "PORTAL_OIDC_CUSTOMER_CLAIM": settings.oidc_customer_claim,
    }
    if settings.environment == "production":
        required |= {
            "PORTAL_DATABASE_URL": settings.database_url.get_secret_value(),
            "PORTAL_DIGITAL_RIVER_PUBLIC_KEY": settings.digital_river_public_key,
            "PORTAL_LIVE_MODE": settings.live_mode is not None,
            # Without it, `contentUrl` would be made from the Host header, which the caller chooses.
            "PORTAL_PUBLIC_URL": settings.public_url,
        }
    return [f"{name} is missing" for name, value in required.items() if not value]


def _unusable(settings: SettingsFields) -> list[str]:
    """Problems of the database URL and of the files that it names."""
    if not (url := settings.database_url.get_secret_value()):
        return []
    try:
        address = DatabaseUrl.parse(url)
        address.connect_arguments()
    except UnusableDatabaseUrl as error:
        return [f"PORTAL_DATABASE_URL {error}"]
    if settings.environment == "production" and not (address.demands_tls or address.is_local):
        return [
            "PORTAL_DATABASE_URL must demand TLS of another machine: sslmode=verify-full with "
            "sslrootcert, verify-ca or require"
        ]
    return []


def _contradictory(settings: SettingsFields) -> list[str]:
    names = [trusted.issuer for trusted in settings.oidc_issuers]
    is_prefix_of_ours = bool(settings.oidc_scope_prefix) and "portal:".startswith(settings.oidc_scope_prefix)
    checks = {
        "PORTAL_OIDC_ADDITIONAL_ISSUERS must name each issuer once, and not PORTAL_OIDC_ISSUER again": (
            len({*names}) == len(names)
        ),
        "PORTAL_OIDC_ADDITIONAL_ISSUERS must give an issuer that is not empty": all(names[1:]),
        "PORTAL_OIDC_JWKS_URL and each jwksUrl must start with https:// or http://": all(
            not trusted.jwks_url or trusted.jwks_url.startswith(("https://", "http://"))
            for trusted in settings.oidc_issuers
        ),
        "PORTAL_OIDC_ALGORITHMS must name one or more": bool(settings.oidc_algorithms),
        "PORTAL_OIDC_SCOPE_CLAIMS must name one or more": bool(settings.oidc_scope_claims),
        "PORTAL_OIDC_CUSTOMER_CLAIM must be a name without spaces": _is_one_word(
            settings.oidc_customer_claim or "sub"
        ),
        "PORTAL_OIDC_SCOPE_CLAIMS must be names without spaces": all(
            map(_is_one_word, settings.oidc_scope_claims)
        ),
        "PORTAL_OIDC_ACCEPTED_CLIENT_IDS must be ids without spaces": all(
            map(_is_one_word, settings.oidc_accepted_client_ids)
        ),
        "PORTAL_OIDC_SCOPE_PREFIX must have no spaces, and must not be the portal's own": (
            not settings.oidc_scope_prefix
            or (_is_one_word(settings.oidc_scope_prefix) and not is_prefix_of_ours)
        ),
    }
    return [problem for problem, is_fine in checks.items() if not is_fine]


def _unsafe(settings: SettingsFields) -> list[str]:
    key = settings.digital_river_secret_key.get_secret_value()
    short = [
        secret for secret in settings.webhook_secrets if len(secret.get_secret_value()) < MIN_SECRET_LENGTH
    ]
    is_test = "_test_" in key
    checks = {
        "PORTAL_DIGITAL_RIVER_URL must start with https://": settings.digital_river_url.startswith(
            "https://"
        ),
        # If `PORTAL_OIDC_JWKS_URL` is set, no request goes to the issuer.
        "PORTAL_OIDC_ISSUER (or PORTAL_OIDC_JWKS_URL) must start with https://": (
            settings.oidc_jwks_url or settings.oidc_issuer
        ).startswith("https://"),
        "PORTAL_OIDC_ADDITIONAL_ISSUERS must start with https://": all(
            (trusted.jwks_url or trusted.issuer).startswith("https://")
            for trusted in settings.oidc_additional_issuers
        ),
        f"PORTAL_WEBHOOK_SECRETS must have {MIN_SECRET_LENGTH} characters or more each": not short,
        "PORTAL_DIGITAL_RIVER_SECRET_KEY must be a confidential key (sk_…)": key.startswith("sk_"),
        "PORTAL_DIGITAL_RIVER_PUBLIC_KEY must be a public key (pk_…)": (
            settings.digital_river_public_key.startswith("pk_")
        ),
        # Digital River docs, API keys: test keys carry `_test_`, and the key alone decides the mode.
        "PORTAL_LIVE_MODE must be true with a live key and false with a test key": (
            settings.live_mode is None or settings.live_mode != is_test
        ),
        "PORTAL_DIGITAL_RIVER_SECRET_KEY and PORTAL_DIGITAL_RIVER_PUBLIC_KEY must be of one mode": (
            is_test == ("_test_" in settings.digital_river_public_key)
        ),
        "PORTAL_PUBLIC_URL must start with https://": _is_safe_or_unset(settings.public_url),
        "PORTAL_CORS_ORIGINS must name origins, not *": "*" not in settings.cors_origins,
        "PORTAL_CORS_HEADERS must name headers, not *": "*" not in settings.cors_headers,
        "PORTAL_TRUSTED_PROXIES must name proxies, not every address": all(
            network.prefixlen for network in settings.trusted_proxies
        ),
        "PORTAL_DROPIN_RETURN_URL must start with https://": _is_safe_or_unset(settings.dropin_return_url),
        "PORTAL_DROPIN_CANCEL_URL must start with https://": _is_safe_or_unset(settings.dropin_cancel_url),
    }
    return [problem for problem, is_fine in checks.items() if not is_fine]


def _is_one_word(text: str) -> bool:
    return text.isprintable() and len(text.split()) == 1 and text == text.strip()


def _is_safe_or_unset(url: str) -> bool:
    return not url or url.startswith("https://")
