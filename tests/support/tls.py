"""A PostgreSQL that speaks TLS: a relay in front of the suite's own server.

The embedded server is built without OpenSSL, so TLS ends in the relay. The relay's messages before TLS are
those of a PostgreSQL server.
"""

import asyncio
import ipaddress
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy.engine import make_url

from tests.support.tcp_relay import running_relay

# PostgreSQL docs, Message Formats, SSLRequest: its length, and the number that stands for it.
SSL_REQUEST = struct.pack("!ii", 8, 80877103)


@dataclass(frozen=True)
class Authority:
    """Issues certificates into a folder."""

    folder: Path
    name: str
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def certificate(self) -> Path:
        path = self.folder / f"{self.name}.crt"
        if not path.exists():
            path.write_bytes(self._sign(self.key, is_authority=True))
        return path

    def issue(self, name: str, *, address: str = "127.0.0.1", password: bytes = b"") -> tuple[Path, Path]:
        """A certificate for this address, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate, secret = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        certificate.write_bytes(self._sign(key, address=address))
        sealing: serialization.KeySerializationEncryption = (
            serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        )
        secret.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, sealing)
        )
        return certificate, secret

    def _sign(
        self, key: ec.EllipticCurvePrivateKey, *, address: str = "", is_authority: bool = False
    ) -> bytes:
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)])
        own = issuer if is_authority else x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "somebody")])
        now = datetime.now(UTC)
        draft = (
            x509.CertificateBuilder()
            .subject_name(own)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )
        if address:
            names = [x509.IPAddress(ipaddress.ip_address(address))]
            draft = draft.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return draft.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def address(url: str, port: int | None = None, **parameters: object) -> str:
    """The same database at another port, with these parameters."""
    real = make_url(url)
    near = real.set(port=port or real.port).render_as_string(hide_password=False)
    return f"{near}?{urlencode(parameters)}"


@asynccontextmanager
async def running_tls_server(
    url: str, certificate: tuple[Path, Path], *, clients: Path | None = None
) -> AsyncIterator[int]:
    """The port of a server that shows this certificate; with `clients` it lets in only whom they issued.
    It serves no client without TLS."""
    real = make_url(url)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    if clients:
        context.load_verify_locations(clients)
        context.verify_mode = ssl.CERT_REQUIRED

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # With an end before it, the request is none, and start_tls fails as for any other noise.
        if await reader.read(len(SSL_REQUEST)) == SSL_REQUEST:
            writer.write(b"S")
        await writer.start_tls(context)

    relay = running_relay(lambda: asyncio.open_connection(real.host, real.port), greet=greet)
    async with relay as port:
        yield port
