"""A database URL means what it means to libpq. An unsupported one is refused, and no secret is shown."""

from pathlib import Path
from typing import Any

import pytest

from app.database_url import _VARIABLES, DatabaseUrl, UnusableDatabaseUrl
from tests.support.tls import Authority

SECRET = "s3cret"


@pytest.fixture(autouse=True)
def _no_variables_of_libpq(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in filter(None, _VARIABLES.values()):
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        (
            "postgresql://ada:p%40ss+word@db:6432/shop%20one",
            {"host": ["db"], "port": [6432], "user": "ada", "password": "p@ss+word", "database": "shop one"},
        ),
        ("postgres://db/shop", {"host": ["db"], "port": [5432], "user": None, "password": None}),
        ("postgresql://a,b:2,[::1]:3/shop", {"host": ["a", "b", "::1"], "port": [5432, 2, 3]}),
        ("postgresql:///shop?host=/run/pg&port=1", {"host": ["/run/pg"], "port": [1]}),
        ("postgresql://%2Frun%2Fpg/shop", {"host": ["/run/pg"], "port": [5432]}),
        ("postgresql://x/y?user=ada&password=a+b&dbname=shop", {"user": "ada", "password": "a+b"}),
        ("postgresql:///shop?host=a,b&port=7&target_session_attrs=primary", {"port": [7, 7]}),
    ],
)
def test_the_parts_are_read_as_libpq_reads_them(url: str, meant: dict[str, Any]) -> None:
    arguments = DatabaseUrl.parse(url).connect_arguments()
    assert {name: arguments[name] for name in meant} == meant


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("mysql://db/x", "must start with postgresql://"),
        ("postgresql+asyncpg://db/x", "must start with postgresql://"),
        ("postgresql://[::1/x", "is no URL"),
        (f"postgresql://u:{SECRET}/x@db/x", "percent-encode"),
        (f"postgresql://u:@{SECRET}@db/x", "percent-encode"),
        (f"postgresql://u:a?{SECRET}@db/x", "percent-encode"),
        (f"postgresql://u:a#{SECRET}@db/x", "percent-encode"),
        (f"postgresql://u:{SECRET}/x", "port that is no number"),
        ("postgresql://db:0/x", "port that is no number"),
        ("postgresql://a,b/x?port=1,2,3", "different numbers of hosts and of ports"),
        ("postgresql://a,,b/x", "an empty host"),
        ("postgresql://db/x?ssl=true", "unknown parameters: ssl "),
        ("postgresql://db/x?sslmod=require&foo=1", "unknown parameters: foo, sslmod "),
        (f"postgresql://db/x?{SECRET}%20{SECRET}", "unknown parameters: something without a name"),
        ("postgresql://db/x?sslmode=on", "unknown sslmode, it must be one of disable, allow,"),
        ("postgresql://db/x?sslmode=verify_full", "unknown sslmode"),
        ("postgresql://db/x?sslmode=verify-full", "needs sslrootcert for sslmode=verify-full"),
        ("postgresql://db/x?sslmode=require&sslrootcert=system", "needs sslmode=verify-full"),
        ("postgresql://db/x?sslkey=/key", "an sslkey without sslcert"),
        ("postgresql://db/x?target_session_attrs=master", "target_session_attrs to be one of any,"),
        (
            "postgresql://db/x?sslmode=verify-ca&sslrootcert=/absent.crt",
            "sslrootcert that cannot be read: /abs",
        ),
        ("postgresql://db/x?sslmode=require&sslcert=/absent.crt", "sslcert or sslkey that cannot be read"),
        (f"postgresql://db/x?sslmode=require&sslcrl={__file__}", "sslcrl that is not what it should be"),
    ],
)
def test_an_unsupported_url_is_refused_without_showing_its_secret(url: str, complaint: str) -> None:
    with pytest.raises(UnusableDatabaseUrl) as refused:
        DatabaseUrl.parse(url).connect_arguments()
    assert complaint in str(refused.value)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "is_local"),
    [
        ("postgresql://localhost/x", True),
        ("postgresql://127.0.0.1,[::1]/x", True),
        ("postgresql:///x", True),
        ("postgresql:///x?host=/run/postgresql", True),
        ("postgresql://postgres/x", False),
        ("postgresql://localhost,db/x", False),
        ("postgresql://localhost/x?host=db", False),
        ("postgresql://10.0.0.1/x", False),
        ("postgresql://localhost.example.com/x", False),
        ("postgresql://0.0.0.0/x", False),
    ],
)
def test_a_url_is_local_if_its_traffic_stays_on_the_machine(url: str, is_local: bool) -> None:
    assert DatabaseUrl.parse(url).is_local is is_local


def test_variables_of_libpq_fill_what_the_url_leaves_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "db")
    monkeypatch.setenv("PGSSLMODE", "require")
    address = DatabaseUrl.parse("postgresql:///x")
    assert (address.is_local, address.mode, address.endpoints) == (False, "require", "db:5432")
    assert DatabaseUrl.parse("postgresql://localhost/x?sslmode=disable").mode == "disable"


def test_a_key_with_the_wrong_password_is_refused_without_asking(tmp_path: Path) -> None:
    certificate, key = Authority(tmp_path, "authority").issue("client", password=b"right")
    url = f"postgresql://db/x?sslmode=require&sslcert={certificate}&sslkey={key}"
    DatabaseUrl.parse(f"{url}&sslpassword=right").connect_arguments()
    for wrong in ("", f"&sslpassword={SECRET}"):
        with pytest.raises(UnusableDatabaseUrl, match="sslcert or sslkey that is not") as refused:
            DatabaseUrl.parse(url + wrong).connect_arguments()
        assert SECRET not in str(refused.value)
