"""Which links the portal may give out: for this file, on an allowed host, not expired, a plain URL."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from app.digital_river.models import FileLink
from app.documents.link_policy import MAXIMUM_URL_LENGTH, Link, LinkPolicy, policy_of
from app.ids import FileId
from tests.support.portal import settings_for

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
FILE = FileId("49ca4603-a718-424b-8a5e-0bfa95f98ae8")
GOOD = "https://files.digitalriver.com/links/e8a63964-9a92-4c71-bc28-332681d8c815"
PRODUCTION = LinkPolicy(
    ("files.digitalriver.com", "*.cdn.example"), "https://api.digitalriver.com", is_development=False
)
DEVELOPMENT = LinkPolicy(("files.digitalriver.com",), "http://sandbox:8800", is_development=True)

BAD_URLS = {
    "": "incomplete",
    "https://files.digitalriver.com/" + MAXIMUM_URL_LENGTH * "x": "length",
    "https://files.digitalriver.com/" + 100_000 * "x": "length",
    "https://files.digitalriver.com/a b": "characters",
    "https://files.digitalriver.com/a\r\nSet-Cookie: a=b": "characters",
    "https://files.digitalriver.com/\0": "characters",
    "https://files.digitalriver.com/\N{GRINNING FACE}": "characters",
    "https://files.digitalriver.com/\N{RIGHT-TO-LEFT OVERRIDE}": "characters",
    "https://files.digitalriver.com/x\n": "characters",
    "https://f\N{LATIN SMALL LETTER LONG S}iles.digitalriver.com/x": "characters",
    "javascript:alert(1)": "scheme",
    "javascript://files.digitalriver.com/%0aalert(1)": "scheme",
    "data:text/html,<script>alert(1)</script>": "characters",
    "http://files.digitalriver.com/links/1": "scheme",
    "ftp://files.digitalriver.com/links/1": "scheme",
    "//files.digitalriver.com/links/1": "scheme",
    "/links/1": "scheme",
    "links/1": "scheme",
    "https:files.digitalriver.com/links/1": "scheme",
    "https:///files.digitalriver.com/links/1": "credentials",
    "https://": "scheme",
    "https://user:password@files.digitalriver.com/links/1": "credentials",
    "https://evil.example@files.digitalriver.com/": "credentials",
    "https://files.digitalriver.com@evil.example/": "credentials",
    "https://evil.example/links/1": "host",
    "https://evil.example\\@files.digitalriver.com/": "characters",
    "https://files.digitalriver.com\\.evil.example/": "characters",
    'https://files.digitalriver.com/"onclick=x': "characters",
    "https://files.digitalriver.com/<script>": "characters",
    "https://files.digitalriver.com:8443/": "host",
    "https://files.digitalriver.com.evil.example/": "host",
    "https://evil-files.digitalriver.com/": "host",
    "https://evil.example/files.digitalriver.com": "host",
    "https://evil.example#files.digitalriver.com": "host",
    "https://evil.example?https://files.digitalriver.com/": "host",
    "https://filesXdigitalriver.com/": "host",
    "https://files.digitalriver.com:x/": "host",
    "https://[::1/": "host",
    "https://cdn.example/": "host",
    "https://evil.example/.cdn.example": "host",
    "https://localhost/links/1": "host",
    "https://127.0.0.1/links/1": "host",
}


def link(**changes: object) -> FileLink:
    about = {"id": "l", "fileId": FILE, "url": GOOD, "expiresTime": NOW + timedelta(hours=1), **changes}
    return FileLink.model_validate(about)


def test_a_link_that_says_it_has_expired_is_refused_whatever_its_time() -> None:
    assert PRODUCTION.check(link(expired=True), FILE, NOW) == "life"


@pytest.mark.parametrize("url", BAD_URLS)
def test_a_url_that_is_no_link_of_digital_rivers_is_refused_by_name(url: str) -> None:
    assert PRODUCTION.check(link(url=url), FILE, NOW) == BAD_URLS[url]
    assert not PRODUCTION.allows(url)


@pytest.mark.parametrize(
    "url",
    [
        GOOD,
        "https://FILES.DigitalRiver.com/links/1",
        "https://files.digitalriver.com:443/links/1?signature=a%20b&x=~#page=1",
        "https://files.digitalriver.com",
        "https://api.digitalriver.com/links/1",
        "https://eu.one.cdn.example/links/1",
    ],
)
def test_a_link_of_digital_rivers_is_taken_as_it_is(url: str) -> None:
    assert PRODUCTION.check(link(url=url), FILE, NOW) == Link("l", url, NOW + timedelta(hours=1))
    assert PRODUCTION.allows(url)


@pytest.mark.parametrize(
    "host", ["localhost:8800", "sandbox.localhost:8800", "127.0.0.1", "127.1.2.3:1", "[::1]:8800", "sandbox"]
)
def test_in_development_a_local_digital_river_may_link_to_itself(host: str) -> None:
    assert DEVELOPMENT.allows(f"http://{host}/links/1")
    assert not PRODUCTION.allows(f"https://{host}/links/1")


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "evillocalhost", "127.0.0.1.nip.io"]
)
def test_an_unknown_host_is_refused_in_development_too(host: str) -> None:
    assert DEVELOPMENT.check(link(url=f"http://{host}/links/1"), FILE, NOW) == "host"


@pytest.mark.parametrize("file_id", ["another", None, "", FILE.upper()])
def test_a_link_that_does_not_name_this_file_is_refused(file_id: str | None) -> None:
    assert PRODUCTION.check(link(fileId=file_id), FILE, NOW) == "anotherFile"


@pytest.mark.parametrize(
    ("expires", "fault"),
    [
        (timedelta(minutes=5), "life"),
        (timedelta(minutes=5, microseconds=1), None),
        (timedelta(0), "life"),
        (timedelta(days=-1), "life"),
        (timedelta(days=366), None),
        (timedelta(days=367), "life"),
    ],
)
def test_a_link_lives_for_more_than_five_minutes_and_for_a_year_at_most(
    expires: timedelta, fault: str | None
) -> None:
    moment = NOW + expires
    read = PRODUCTION.check(link(expiresTime=moment), FILE, NOW)
    assert read == (fault or Link("l", GOOD, moment))


def test_the_hosts_of_links_and_digital_rivers_own_are_settings() -> None:
    settings = settings_for("postgresql://x", "https://api.digitalriver.com").model_copy(
        update={"environment": "production", "digital_river_secret_key": SecretStr("sk_live_1")}
    )
    policy = policy_of(settings)
    for host in ("files.digitalriver.com", "files-test.digitalriver.com", "api.digitalriver.com"):
        assert policy.allows(f"https://{host}/links/1")
    elsewhere = policy_of(settings.model_copy(update={"file_link_hosts": ("files.example",)}))
    assert elsewhere.allows("https://files.example/links/1")
    assert not elsewhere.allows(GOOD)
