"""Addresses at CloudFront: encoded, signed as CloudFront checks it, and stable for a while."""

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from shared.adapters.cdn_cloudfront import CloudFront, SignedCloudFront, rsa_key
from shared.config import BadSettings, read_settings

DOMAIN: Final = "d123abc456.cloudfront.net"
KEY: Final = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM: Final = KEY.private_bytes(
    Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
).decode()
NOON: Final = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR: Final = timedelta(hours=1)


@dataclass
class Hand:
    """A clock that is set by hand."""

    at: datetime = NOON

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return 0

    def wait(self, seconds: float) -> None:
        del seconds


def signing(clock: Hand, pem: str = PEM) -> SignedCloudFront:
    return SignedCloudFront(
        DOMAIN, key_id="K2JCJMDEHXQW5F", private_key=pem, lifetime=HOUR, clock=clock
    )


def checked(url: str) -> datetime:
    """Do as CloudFront does: hold the signature against the canned policy; return when it ends."""
    said = parse_qs(urlsplit(url).query)
    assert said["Key-Pair-Id"] == ["K2JCJMDEHXQW5F"]
    ends = int(said["Expires"][0])
    statement = {
        "Resource": url.partition("?")[0],
        "Condition": {"DateLessThan": {"AWS:EpochTime": ends}},
    }
    policy = json.dumps({"Statement": [statement]}, separators=(",", ":")).encode()
    text = said["Signature"][0].translate(str.maketrans("-_~", "+=/"))
    sha1 = hashes.SHA1()  # noqa: S303  # the protocol's
    KEY.public_key().verify(base64.b64decode(text), policy, PKCS1v15(), sha1)
    return datetime.fromtimestamp(ends, UTC)


def test_without_a_key_an_address_is_the_domain_and_the_key() -> None:
    key = "uploads/123/20260226_143022_document.pdf"

    assert CloudFront(DOMAIN).url(key, is_public=False) == f"https://{DOMAIN}/{key}"


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("a b+c.txt", "a%20b%2Bc.txt"),
        ("50%/#1?.txt", "50%25/%231%3F.txt"),
        ("ä/한.txt", "%C3%A4/%ED%95%9C.txt"),
        ("a-b_c.d~e", "a-b_c.d~e"),
    ],
)
def test_keys_are_percent_encoded_part_by_part(key: str, path: str) -> None:
    assert CloudFront(DOMAIN).url(key, is_public=True) == f"https://{DOMAIN}/{path}"
    assert signing(Hand()).url(key, is_public=False).startswith(f"https://{DOMAIN}/{path}?")


def test_a_private_file_has_an_address_that_the_public_key_agrees_with() -> None:
    url = signing(Hand()).url("a/b c.txt", is_public=False)

    assert checked(url) == NOON + 2 * HOUR
    with pytest.raises(InvalidSignature):
        checked(url.replace("b%20c", "other"))


def test_a_public_file_has_a_plain_one() -> None:
    assert signing(Hand()).url("a.txt", is_public=True) == f"https://{DOMAIN}/a.txt"


@pytest.mark.parametrize("minutes", [0, 1, 30, 59, 60, 61])
def test_an_address_lives_for_one_to_two_lifetimes(minutes: int) -> None:
    now = NOON + timedelta(minutes=minutes)

    left = checked(signing(Hand(now)).url("a.txt", is_public=False)) - now

    assert HOUR < left <= 2 * HOUR


def test_an_address_stays_the_same_within_a_lifetime_and_not_beyond() -> None:
    clock = Hand()
    cdn = signing(clock)
    first = cdn.url("a.txt", is_public=False)

    clock.at = NOON + timedelta(minutes=59)
    same = cdn.url("a.txt", is_public=False)
    clock.at = NOON + HOUR
    later = cdn.url("a.txt", is_public=False)

    assert first == same
    assert first != later


def test_line_ends_of_the_key_may_be_written_out() -> None:
    checked(signing(Hand(), PEM.replace("\n", "\\n")).url("a.txt", is_public=False))


@pytest.mark.parametrize(
    ("pem", "why"),
    [
        ("nonsense", "no private key"),
        (PEM[:200], "no private key"),
        (
            ec.generate_private_key(ec.SECP256R1())
            .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            .decode(),
            "no RSA key",
        ),
    ],
)
def test_a_key_that_is_none_says_so_and_not_what_it_is(pem: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as refusal:
        rsa_key(pem)

    assert pem not in str(refusal.value)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"cloudfront_domain": f"{DOMAIN}/files"}, "without a path"),
        ({"cloudfront_domain": DOMAIN, "cloudfront_key_pair_id": "K"}, "go together"),
        ({"cloudfront_domain": DOMAIN, "cloudfront_private_key": PEM}, "go together"),
        ({"cloudfront_key_pair_id": "K", "cloudfront_private_key": PEM}, "go together"),
    ],
)
def test_half_a_configuration_stops_the_start_with_one_line(said: dict[str, str], why: str) -> None:
    with pytest.raises(BadSettings, match=why) as refusal:
        read_settings(_env_file=None, **said)

    assert "\n" not in str(refusal.value)
    assert "PRIVATE KEY-----" not in str(refusal.value)
