"""Settings whose text is read in more than one way: keys in one line, addresses, secrets."""

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from shared.config import BadSettings, Settings, read_settings

PEM = (
    rsa.generate_private_key(public_exponent=65537, key_size=2048)
    .public_key()
    .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    .decode()
)


def said(**settings: str) -> Settings:
    return read_settings(_env_file=None, **settings)


@pytest.mark.parametrize(
    "written",
    [
        PEM,
        PEM.strip(),
        PEM.replace("\n", "\\n"),
        PEM.replace("\n", "\\r\\n"),
        PEM.replace("\n", "\r\n").replace("\r", ""),
        f'"{PEM.strip()}"',
        "'" + PEM.replace("\n", "\\n") + "'",
    ],
)
def test_a_key_may_be_written_in_one_line(written: str) -> None:
    assert said(jwt_algorithm="RS256", jwt_public_key=written).jwt_public_key == PEM


@pytest.mark.parametrize(
    "url",
    [
        "main",
        "ftp://main/",
        "https://",
        "//main",
        "/path",
        "http:///path",
        "http://u:p@h/",
        "http://h/#f",
    ],
)
def test_an_address_has_a_scheme_and_a_host(url: str) -> None:
    with pytest.raises(BadSettings, match="MAIN_SERVICE_NOTIFY_URL"):
        said(main_service_notify_url=url)


@pytest.mark.parametrize("secret", ["text", "whsec_", "whsec_dGV4dA==", "whsec_ä", "a" * 44])
def test_a_signing_secret_is_as_standard_webhooks_has_it_and_is_not_told(secret: str) -> None:
    with pytest.raises(BadSettings, match="MAIN_SERVICE_NOTIFY_SECRET") as refusal:
        said(main_service_notify_secret=secret)

    assert secret.removeprefix("whsec_") not in str(refusal.value) or secret == "whsec_"


def test_what_is_empty_is_not_said() -> None:
    made = said(main_service_notify_url="", main_service_notify_secret="", jwt_public_key="")

    assert (made.main_service_notify_url, made.jwt_public_key) == (None, None)
    assert made.main_service_notify_secret is None


@pytest.mark.parametrize(
    ("name", "written", "read"),
    [
        ("log_level", "debug", "DEBUG"),
        ("log_format", "JSON", "json"),
        ("storage_backend", "S3", "s3"),
        ("storage_backend", " Local", "local"),
        ("rate_limits", "OFF", "off"),
        ("rate_limit_read", "Off", "off"),
        ("rate_limit_write", "10/Minute", "10/minute"),
        ("cloudfront_domain", "d123abc456.cloudfront.net", "d123abc456.cloudfront.net"),
        ("cloudfront_domain", "https://D123abc456.cloudfront.net/", "d123abc456.cloudfront.net"),
    ],
)
def test_words_are_read_whatever_their_case_and_hosts_without_what_is_around_them(
    name: str, written: str, read: str
) -> None:
    assert getattr(said(**{name: written}), name) == read


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("https://App.Example/, http://b.example:80", ["https://app.example", "http://b.example"]),
        ("*", ["*"]),
        (r"https://.*\.example", [r"https://.*\.example"]),
    ],
)
def test_origins_are_read_as_browsers_say_them(written: str, read: list[str]) -> None:
    assert said(cors_origins=written).cors_origins == read


def test_an_algorithm_is_read_whatever_its_case() -> None:
    assert said(jwt_algorithm="rs256", jwt_public_key=PEM).jwt_algorithm == "RS256"


@pytest.mark.parametrize("domain", ["https://d.cloudfront.net/files", "ftp://d.example", "a b"])
def test_a_domain_is_a_host_alone(domain: str) -> None:
    with pytest.raises(BadSettings, match="CLOUDFRONT_DOMAIN"):
        said(cloudfront_domain=domain)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("/x/", "x"),
        ("a//{year}", "a/{year}"),
        ("uploads/{year}-{month}", "uploads/{year}-{month}"),
        ("documents/user-uploads", "documents/user-uploads"),
        ("./{hour}", "{hour}"),
    ],
)
def test_a_folder_structure_is_a_path(written: str, read: str) -> None:
    assert said(s3_folder_structure=written).layout.structure == read


@pytest.mark.parametrize(
    "structure",
    [
        *("{month:02d}", "{year!r}", "{year:>9}", "{week}", "{}", "{year"),
        *("..", "../x", "x/../y", "x\\y", " x / y ", "x" * 201, ".staging", ".staging/x"),
    ],
)
def test_a_folder_structure_that_no_upload_could_use_stops_the_start(structure: str) -> None:
    with pytest.raises(BadSettings) as refusal:
        said(s3_folder_structure=structure)

    assert "S3_FOLDER_STRUCTURE: " in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_origins_are_listed_by_tenant() -> None:
    text = "acme=https://a.example https://b.example:8443, globex=http://localhost:3000,"

    assert said(tenant_origins=text).tenant_origins == {
        "acme": ["https://a.example", "https://b.example:8443"],
        "globex": ["http://localhost:3000"],
    }
    assert said(tenant_origins="").tenant_origins == {}


def test_origins_are_kept_as_browsers_say_them() -> None:
    text = "acme=https://App.Acme.example/ HTTPS://b.example:443 http://[::1]:80 https://bücher.example"

    assert said(tenant_origins=text).tenant_origins == {
        "acme": [
            *("https://app.acme.example", "https://b.example", "http://[::1]"),
            "https://xn--bcher-kva.example",
        ]
    }


@pytest.mark.parametrize(
    "text",
    [
        "acme",
        "acme=",
        "=https://a",
        "acme=https://",
        "acme=https://a:99999",
        "acme=https://a?b",
        "acme=https://a#b",
        "acme=https://me@a",
        "acme=https://a..b",
        "acme=null",
        "acme=*",
        "acme=a.example",
        "acme=https://a/b",
    ],
)
def test_origins_are_a_scheme_and_a_host(text: str) -> None:
    with pytest.raises(BadSettings, match="TENANT_ORIGINS"):
        said(tenant_origins=text)
