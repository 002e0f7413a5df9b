"""Kinds of settings: how their text is read. What is empty is not said."""

import base64
import binascii
import re
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from limits import parse as rate
from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_settings import NoDecode

_PORTS: Final = {"http": 80, "https": 443}
_SIGNING: Final = "whsec_"
_SHORTEST_SIGNING: Final = 24  # bytes, as Standard Webhooks has it


def _listed(text: Any) -> Any:
    return (
        [part.strip() for part in text.split(",") if part.strip()]
        if isinstance(text, str)
        else text
    )


def _nothing(text: Any) -> Any:
    return None if text == "" else text


def _in_lines(text: str | None) -> str | None:
    """A PEM in one line, as `.env` files have them: with the ends of its lines written out."""
    if text is None:
        return None
    return text.strip().strip("\"'").replace("\\r", "").replace("\\n", "\n").strip() + "\n"


def _url(text: str | None) -> str | None:
    if text is not None:
        parts = urlsplit(text)
        odd = parts.scheme not in {"http", "https"} or not parts.hostname
        if odd or "@" in parts.netloc or "#" in text:
            raise ValueError("is not like https://host/path, without user and fragment")
    return text


def _host(text: str | None) -> str | None:
    """The name of a host; people copy it with what a browser shows around it."""
    return None if text is None else re.sub("^https?://", "", text.strip().lower()).rstrip("/")


def _upper(text: Any) -> Any:
    return text.strip().upper() if isinstance(text, str) else text


def _lower(text: Any) -> Any:
    return text.strip().lower() if isinstance(text, str) else text


def _rated(text: str) -> str:
    said = text.strip().lower()
    if said != "off":
        try:
            rate(said)
        except ValueError:
            raise ValueError("is neither off nor like 10/minute") from None
    return said


def _signing(secret: SecretStr | None) -> SecretStr | None:
    if secret is None:
        return None
    said = secret.get_secret_value()
    try:
        key = base64.b64decode(said.removeprefix(_SIGNING), validate=True)
    except binascii.Error:
        key = b""
    if not said.startswith(_SIGNING) or len(key) < _SHORTEST_SIGNING:
        raise ValueError(f"is not {_SIGNING} and the base64 of {_SHORTEST_SIGNING} bytes or more")
    return secret


def _by_tenant(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    found: dict[str, list[str]] = {}
    for said in filter(None, (part.strip() for part in text.split(","))):
        tenant, _, origins = said.partition("=")
        found.setdefault(tenant.strip(), []).extend(origins.split())
    return found


def _origins(said: dict[str, list[str]]) -> dict[str, list[str]]:
    try:
        found = {name: [origin_of(each) for each in origins] for name, origins in said.items()}
    except ValueError:
        found = {"": []}
    if not all(name and origins for name, origins in found.items()):
        raise ValueError("is not like tenant=https://host https://other:8443, tenant2=…")
    return found


def origin_of(url: str) -> str:
    """Return an origin as browsers say it: RFC 6454, 6.2. Raises `ValueError` for what is none."""
    parts = urlsplit(url.strip())
    host, scheme = parts.hostname or "", parts.scheme
    odd = "@" in parts.netloc or parts.path not in {"", "/"} or parts.query or parts.fragment
    if not scheme or not host or odd:
        raise ValueError("is no origin")
    name = f"[{host}]" if ":" in host else host.encode("idna").decode("ascii")
    is_default = parts.port in {None, _PORTS.get(scheme)}
    return f"{scheme}://{name}" if is_default else f"{scheme}://{name}:{parts.port}"


def _as_said(origins: list[str]) -> list[str]:
    """Write origins as browsers do; `*` and patterns stay what they are."""
    return [_as_browsers(each) for each in origins]


def _as_browsers(text: str) -> str:
    try:
        return origin_of(text)
    except ValueError:
        return text


Names = Annotated[list[str], NoDecode, BeforeValidator(_listed)]
Pages = Annotated[list[str], NoDecode, BeforeValidator(_listed), AfterValidator(_as_said)]
Origins = Annotated[
    dict[str, list[str]], NoDecode, BeforeValidator(_by_tenant), AfterValidator(_origins)
]
Text = Annotated[str | None, BeforeValidator(_nothing)]
Secret = Annotated[SecretStr | None, BeforeValidator(_nothing)]
Days = Annotated[float | None, BeforeValidator(_nothing)]
Number = Annotated[int | None, BeforeValidator(_nothing)]
Pem = Annotated[Text, AfterValidator(_in_lines)]
Url = Annotated[Text, AfterValidator(_url)]
SigningSecret = Annotated[Secret, AfterValidator(_signing)]
Host = Annotated[Text, AfterValidator(_host)]
# Words that are told apart whatever their case.
Upper = BeforeValidator(_upper)
Lower = BeforeValidator(_lower)
Rate = Annotated[str, AfterValidator(_rated)]
