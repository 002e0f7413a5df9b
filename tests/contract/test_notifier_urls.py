"""Which addresses a notifier takes: none that leads inside, however it is spelled."""

from typing import Any

import pytest

from shared.adapters.notify_http import HttpNotifier
from shared.ports import Notifier

PUBLIC_V4 = "93.184.215.14"
PUBLIC_V6 = "2606:4700::1111"
INSIDE = (
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0x7f.1",
    "0177.0.0.1",
    "017700000001",
    "127.0.0.01",
    "0",
    "0.0.0.0",  # noqa: S104  # an address to refuse
    "00.0.0.0",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "localhost.localdomain",
    "10.0.0.1",
    "10.1",
    "167772161",
    "172.16.0.1",
    "192.168.0.1",
    "192.168.257",
    "100.64.0.1",
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "169.254.43518",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "224.0.0.1",
    "255.255.255.255",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:169.254.169.254]",
    "[::127.0.0.1]",
    "[::7f00:1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::169.254.169.254]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::]",
    "[2001:0:4136:e378:8000:63bf:80ff:fffe]",
    "[fe80::1]",
    "[fec0::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[ff02::1]",
    "①②⑦.⓪.⓪.①",
    "\uff11\uff12\uff17.\uff10.\uff10.\uff11",
    "127。0。0。1",
    "ⓛocalhost",
)
NO_URLS = (
    "",
    "hook",
    "//93.184.215.14/",
    "file:///etc/passwd",
    "gopher://93.184.215.14/",
    "ftp://93.184.215.14/",
    "javascript:alert(1)",
    "http:93.184.215.14",
    "http://",
    "http:///hook",
    "http://:80/",
    "http://user@93.184.215.14/",
    "http://user:word@93.184.215.14/",
    "http://@93.184.215.14/",
    "http://93.184.215.14/#there",
    "http://93.184.215.14/#",
    "http://93.184.215.14\\@127.0.0.1/",
    "http://93.184.215.14/\r\nX-Evil: 1",
    "http://93.184.215.14/a b",
    "http://93.184.215.14/\x00",
    " http://93.184.215.14/",
    "http://93.184.215.14\t/",
    "http://93.184.215.14/ü",
    "http://93.184.215.14:0/",
    "http://93.184.215.14:22/",
    "http://93.184.215.14:25/",
    "http://93.184.215.14:65536/",
    "http://93.184.215.14:port/",
    "http://93.184.215.14:-1/",
    "http://%31%32%37.0.0.1/",
    "http://exa$mple/",
    "http://[::1/",
    "http://[fe80::1%25lo]/",
    "http://[93.184.215.14]/",
    "http://a..b/",
    f"http://{'a' * 64}.example/",
    f"http://93.184.215.14/{'a' * 2048}",
)


@pytest.mark.parametrize("host", INSIDE)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_spelling_of_an_inner_address_is_registered_or_called(
    strict: Notifier, connects: list[Any], host: str, scheme: str
) -> None:
    url = f"{scheme}://{host}/hook"

    assert strict.refuse(url) is not None
    assert strict.send(url, b"{}", {}).error in {"private_address", "unresolved", "bad_url"}
    assert connects == []


@pytest.mark.parametrize("url", NO_URLS)
def test_what_is_no_plain_url_is_refused_with_or_without_leave(
    strict: Notifier, connects: list[Any], url: str
) -> None:
    lenient = HttpNotifier(allow_private=True)
    is_about_ports = url in {"http://93.184.215.14:22/", "http://93.184.215.14:25/"}

    assert strict.refuse(url) is not None
    assert (lenient.refuse(url) is None) == is_about_ports
    assert strict.send(url, b"{}", {}).status is None
    assert connects == []


@pytest.mark.parametrize(
    "url",
    [
        f"http://{PUBLIC_V4}",
        f"https://{PUBLIC_V4}:443/hook?a=b&c=%20",
        f"HTTPS://{PUBLIC_V4}:8443/",
        f"http://{PUBLIC_V4}:1024/",
        f"http://[{PUBLIC_V6}]:3000/",
        f"http://{PUBLIC_V4}/{'a' * 2000}",
    ],
)
def test_a_plain_url_of_a_public_address_is_fine(strict: Notifier, url: str) -> None:
    assert strict.refuse(url) is None
