"""Which certificates do our HTTP clients trust?"""

import ssl
from functools import cache

import httpx


@cache
def client_context() -> ssl.SSLContext:
    """Trusts the authorities of certifi, or those in SSL_CERT_FILE or SSL_CERT_DIR.

    The clients of a process share it: to read the authorities takes 50 ms of CPU time and 0.8 MB.
    """
    return httpx.create_ssl_context()
