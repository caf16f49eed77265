"""Addresses that others wrote and a page will put into links: nothing but the web passes."""

from urllib.parse import urlsplit


def web_link(address: str | None) -> str | None:
    """The address if a browser may open it; None for `javascript:`, relative ones and whatever else."""
    try:
        parts = urlsplit(address or "")
        is_web = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return None
    return address if is_web else None
