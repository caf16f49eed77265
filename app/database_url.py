"""Parses the URL of PostgreSQL, with the parameters of libpq, so that all connections read it in one way.

PostgreSQL docs, "Connection URIs", "SSL Support" and "Environment Variables" of libpq. There are two
differences: a parameter that would be ignored is refused, and no file in the home directory is used for TLS.
"""

import ipaddress
import os
import re
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, unquote, urlencode, urlsplit

DEFAULT_PORT, LAST_PORT = 5432, 65535
# The socket folders of PostgreSQL's own programs and of distributions; then TCP.
DEFAULT_HOSTS = ("/run/postgresql", "/var/run/postgresql", "/tmp", "localhost")  # noqa: S108
WEAK_MODES = ("disable", "allow", "prefer")
MODES = (*WEAK_MODES, "require", "verify-ca", "verify-full")
SYSTEM_TRUST = "system"

# Each parameter, and the environment variable of libpq that replaces it.
_VARIABLES = {
    "host": "PGHOST",
    "port": "PGPORT",
    "dbname": "PGDATABASE",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslcrl": "PGSSLCRL",
    "sslpassword": "",
}
_TLS_PARAMETERS = ("sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "sslpassword")
_SESSION_ATTRIBUTES = ("any", "primary", "standby", "prefer-standby", "read-write", "read-only")


class UnusableDatabaseUrl(ValueError):
    """The URL cannot be used. The message continues "PORTAL_DATABASE_URL …" and contains no secret."""


@dataclass(frozen=True)
class DatabaseUrl:
    """The hosts, ports and other parameters of a connection to PostgreSQL; "" for absent parameters."""

    hosts: Sequence[str]
    ports: Sequence[int]
    parameters: Mapping[str, str]

    @classmethod
    def parse(cls, url: str) -> "DatabaseUrl":
        """Parse `postgresql://user:password@host:port/database?sslmode=…`; commas separate several hosts.

        Raises:
            UnusableDatabaseUrl: the URL is malformed, or has an unknown parameter or value.
        """
        try:
            parts = urlsplit(url)
        except ValueError:
            raise UnusableDatabaseUrl("is no URL: something is wrong with its host") from None
        if parts.scheme not in ("postgresql", "postgres"):
            raise UnusableDatabaseUrl("must start with postgresql://")
        if parts.netloc.count("@") > 1 or "@" in parts.path + parts.query or parts.fragment:
            raise UnusableDatabaseUrl("holds one of @ : / ? # in a user, password or name: percent-encode it")
        parameters = _address_parts(parts) | _query_parameters(parts.query)
        for name, variable in _VARIABLES.items():
            if not parameters.get(name):
                parameters[name] = os.environ.get(variable, "")
        hosts, ports = _endpoints(parameters.pop("host"), parameters.pop("port"))
        parsed = cls(hosts, ports, parameters)
        parsed._require_known_values()
        return parsed

    @property
    def mode(self) -> str:
        """The sslmode; as with libpq, `prefer` is the default."""
        trusts_system = self.parameters["sslrootcert"] == SYSTEM_TRUST
        return self.parameters["sslmode"] or ("verify-full" if trusts_system else "prefer")

    @property
    def is_local(self) -> bool:
        """Whether all traffic stays on this machine: a socket or a loopback address."""
        return all(map(_is_local, self.hosts))

    @property
    def demands_tls(self) -> bool:
        return self.mode not in WEAK_MODES

    @property
    def endpoints(self) -> str:
        """Hosts and ports, for messages."""
        pairs = zip(self.hosts, self.ports, strict=True)
        return ", ".join(dict.fromkeys(h if h.startswith("/") else f"{h}:{p}" for h, p in pairs))

    def connect_arguments(self) -> dict[str, Any]:
        """The arguments of `asyncpg.connect`. Each call reads the certificates, which may have been renewed.

        Raises:
            UnusableDatabaseUrl: a file cannot be used.
        """
        parameters = {
            "host": list(self.hosts),
            "port": list(self.ports),
            "user": self.parameters["user"] or None,
            "password": self.parameters["password"] or None,
            "database": self.parameters["dbname"] or None,
            "target_session_attrs": self.parameters["target_session_attrs"] or None,
        }
        context = self._context()
        if self.demands_tls:
            return {**parameters, "ssl": context}
        # The server decides whether there is TLS; asyncpg asks it if it gets these parameters in a DSN.
        tls = {name: self.parameters[name] for name in _TLS_PARAMETERS if self.parameters[name]}
        return {**parameters, "dsn": f"postgresql://?{urlencode(tls | {'sslmode': self.mode})}"}

    def _require_known_values(self) -> None:
        mode, root = self.parameters["sslmode"], self.parameters["sslrootcert"]
        if mode and mode not in MODES:
            raise UnusableDatabaseUrl(f"has an unknown sslmode, it must be one of {', '.join(MODES)}")
        if root == SYSTEM_TRUST and self.mode != "verify-full":
            raise UnusableDatabaseUrl("needs sslmode=verify-full beside sslrootcert=system")
        if self.mode.startswith("verify-") and not root:
            raise UnusableDatabaseUrl(f"needs sslrootcert for sslmode={mode}: a file, or the word system")
        if self.parameters["sslkey"] and not self.parameters["sslcert"]:
            raise UnusableDatabaseUrl("has an sslkey without sslcert")
        session = self.parameters["target_session_attrs"]
        if session and session not in _SESSION_ATTRIBUTES:
            raise UnusableDatabaseUrl(
                f"needs target_session_attrs to be one of {', '.join(_SESSION_ATTRIBUTES)}"
            )

    def _context(self) -> ssl.SSLContext:
        """A TLS context by the rules of libpq: `require` checks the issuer only with an sslrootcert, and only
        `verify-full` checks the host name."""
        parameters = self.parameters
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = self.mode == "verify-full"
        context.set_alpn_protocols(["postgresql"])
        if parameters["sslrootcert"] == SYSTEM_TRUST:
            context.load_default_certs()
        elif parameters["sslrootcert"]:
            _load_file("sslrootcert", parameters["sslrootcert"], context.load_verify_locations)
        else:
            context.verify_mode = ssl.CERT_NONE
        if parameters["sslcrl"]:
            _load_file("sslcrl", parameters["sslcrl"], context.load_verify_locations)
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
        if parameters["sslcert"]:
            key, password = parameters["sslkey"] or None, parameters["sslpassword"]
            _load_file(
                "sslcert or sslkey",
                parameters["sslcert"],
                # Without a password, OpenSSL would ask for one in the terminal.
                lambda path: context.load_cert_chain(path, key, password=lambda: password),
            )
        return context


def _address_parts(url: SplitResult) -> dict[str, str]:
    userinfo, _, hosts = url.netloc.rpartition("@")
    user, _, password = userinfo.partition(":")
    parts = {"user": user, "password": password, "dbname": url.path.removeprefix("/"), "host": hosts}
    return {name: unquote(text) for name, text in parts.items()}


def _query_parameters(query: str) -> dict[str, str]:
    """Not `parse_qsl`, which reads a plus as a space. libpq does not."""
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    if unknown := sorted({name for name, _, _ in pairs} - set(_VARIABLES)):
        shown = ", ".join(
            name if re.fullmatch(r"\w{1,40}", name) else "something without a name" for name in unknown
        )
        raise UnusableDatabaseUrl(f"has unknown parameters: {shown} (known are {', '.join(_VARIABLES)})")
    return {name: unquote(value) for name, _, value in pairs if value}


def _endpoints(hosts: str, ports: str) -> tuple[Sequence[str], Sequence[int]]:
    """Hosts and their ports. A port is beside its host or in the list of ports; one may be for all."""
    named = (
        [_split_port(endpoint) for endpoint in hosts.split(",")]
        if hosts
        else [(host, "") for host in DEFAULT_HOSTS]
    )
    listed = ports.split(",") if ports else [""]
    if len(listed) == 1:
        listed *= len(named)
    if len(listed) != len(named):
        raise UnusableDatabaseUrl("names different numbers of hosts and of ports")
    numbers = [
        own or from_list or str(DEFAULT_PORT) for (_, own), from_list in zip(named, listed, strict=True)
    ]
    if not all(host for host, _ in named):
        raise UnusableDatabaseUrl("names an empty host")
    # The port is not shown: if the password contains a slash or a colon, it may be a part of the password.
    if not all(number.isascii() and number.isdigit() and 0 < int(number) <= LAST_PORT for number in numbers):
        raise UnusableDatabaseUrl(f"has a port that is no number from 1 to {LAST_PORT}")
    return [host for host, _ in named], [int(number) for number in numbers]


def _split_port(endpoint: str) -> tuple[str, str]:
    if endpoint.startswith("/"):
        return endpoint, ""
    if endpoint.startswith("["):
        host, _, rest = endpoint[1:].partition("]")
        return host, rest.removeprefix(":")
    if endpoint.count(":") > 1:
        return endpoint, ""
    host, _, port = endpoint.partition(":")
    return host, port


def _is_local(host: str) -> bool:
    if host.startswith("/") or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _load_file(name: str, path: str, load: Callable[[str], object]) -> None:
    try:
        load(path)
    except (OSError, ValueError) as error:
        # OpenSSL's message does not say that the file contains something else.
        why = "is not what it should be" if isinstance(error, ssl.SSLError) else "cannot be read"
        raise UnusableDatabaseUrl(f"names a file for {name} that {why}: {path}") from None
