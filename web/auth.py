"""Who calls: bearer tokens by flask-jwt-extended, stricter than its defaults.

The algorithm is the configured one, never the token's; `exp` is required; issuer and audience are
checked when configured. Every route wants a caller unless it says `@public`.
"""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, TypeVar, cast

import jwt
from flask import Flask, current_app, g, request
from flask_jwt_extended import JWTManager, decode_token, get_jwt, verify_jwt_in_request
from flask_jwt_extended.exceptions import JWTExtendedException

from shared.config import BadSettings, Settings
from shared.errors import Unauthenticated
from shared.model.caller import DEFAULT_SCOPES, Caller, Scope
from web.keys import PublishedKeys

View = TypeVar("View", bound=Callable[..., Any])

# Whoever sends no token where guests are welcome. No token may say this name.
GUEST: Final = Caller(
    "gateway:anonymous",
    scopes=frozenset({Scope.FILES_READ, Scope.FILES_WRITE, Scope.FILES_DELETE}),
)

_GUESTS: Final = "SLUICE_GUESTS"
_TENANT: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LONGEST_SUBJECT: Final = 255
_LEEWAY_SECONDS: Final = 30


def register(app: Flask, settings: Settings) -> None:
    """Set up the verifier, and ask for a caller before every view that is not public."""
    app.config.update(
        JWT_ALGORITHM=settings.jwt_algorithm,
        JWT_DECODE_ALGORITHMS=[settings.jwt_algorithm],
        JWT_DECODE_ISSUER=settings.jwt_issuer,
        JWT_DECODE_AUDIENCE=settings.jwt_audience,
        JWT_DECODE_LEEWAY=timedelta(seconds=_LEEWAY_SECONDS),
        JWT_TOKEN_LOCATION=["headers"],
        JWT_VERIFY_SUB=False,  # a numeric subject is fine
    )
    # The same of a numeric id of a token, which nobody asks for. The library hands no such option on.
    jwt.decode.__self__.options["verify_jti"] = False  # type: ignore[attr-defined]
    app.config[_GUESTS] = settings.gateway_allow_anonymous
    manager = JWTManager(app)
    if settings.jwt_jwks_url is not None:
        keys = PublishedKeys(settings.jwt_jwks_url)
        manager.decode_key_loader(lambda header, claims: _published_key(keys, header, claims))
    elif settings.jwt_algorithm == "HS256":
        if settings.jwt_secret_key is None:
            raise BadSettings("JWT_SECRET_KEY: wanted for HS256")
        app.config["JWT_SECRET_KEY"] = settings.jwt_secret_key.get_secret_value()
    else:
        app.config["JWT_PUBLIC_KEY"] = _public_key(settings)
    app.before_request(_require_caller)


def public(view: View) -> View:
    """Mark a view that anybody may call."""
    view.is_public = True  # type: ignore[attr-defined]  # a mark, read below
    return view


def open_to_guests(view: View) -> View:
    """Mark a view that serves callers without a token where GATEWAY_ALLOW_ANONYMOUS says so."""
    view.is_open_to_guests = True  # type: ignore[attr-defined]  # a mark, read below
    return view


def caller() -> Caller:
    """Return who calls. Raises `Unauthenticated`."""
    if "caller" not in g:
        g.caller = GUEST if _is_guest() else _verified()
    return cast("Caller", g.caller)


def late_caller() -> Caller | None:
    """Return whom a token names that was good until it expired; None for any other, and without."""
    try:
        caller()
    except Unauthenticated as refusal:
        if isinstance(refusal.__cause__, jwt.ExpiredSignatureError):
            token = request.headers["Authorization"].partition(" ")[2]
            return _caller_of(decode_token(token, allow_expired=True))
    return None


def _require_caller() -> None:
    view = current_app.view_functions.get(request.endpoint or "")
    if view is not None and not getattr(view, "is_public", False) and request.method != "OPTIONS":
        caller()


def _is_guest() -> bool:
    """A token that is sent is judged, whoever would be welcome without."""
    view = current_app.view_functions.get(request.endpoint or "")
    is_open = current_app.config[_GUESTS] and getattr(view, "is_open_to_guests", False)
    return is_open and "Authorization" not in request.headers


def _verified() -> Caller:
    if len(request.headers.getlist("Authorization")) > 1 or "," in request.headers.get(
        "Authorization", ""
    ):
        raise Unauthenticated("Send one Authorization header.")
    _spell_scheme()
    try:
        verify_jwt_in_request()
    except (JWTExtendedException, jwt.PyJWTError, ValueError, TypeError) as error:
        raise Unauthenticated("A valid bearer token is required.") from error
    return _caller_of(get_jwt())


def _spell_scheme() -> None:
    """RFC 9110, 11.1: `bearer` and `Bearer` are one scheme; the library knows the second alone."""
    scheme, blank, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        request.environ["HTTP_AUTHORIZATION"] = f"Bearer{blank}{token}"


def _caller_of(claims: dict[str, Any]) -> Caller:
    # PyJWT takes an expiry of digits in a string for a number; RFC 7519 does not.
    if type(claims.get("exp")) not in {int, float}:
        raise Unauthenticated("The token has no expiry.")
    subject = _name(claims.get("sub"))
    if not 0 < len(subject) <= _LONGEST_SUBJECT or not subject.isprintable():
        raise Unauthenticated("The token names no subject.")
    if subject == GUEST.subject:
        raise Unauthenticated("The token names a subject that is none.")
    said = claims.get("tenant")  # null is as good as nothing
    tenant = _name(claims.get("customer_id", "default") if said is None else said)
    if not _TENANT.fullmatch(tenant):
        raise Unauthenticated("The token's tenant is not a name.")
    return Caller(subject, tenant, _scopes(claims.get("scope")))


def _name(claim: object) -> str:
    """Return a claim that is text or a whole number as text, anything else as none."""
    return str(claim) if type(claim) in {str, int} else ""


def _scopes(claim: object) -> frozenset[Scope]:
    if claim is None:
        return DEFAULT_SCOPES
    if not isinstance(claim, str):
        raise Unauthenticated("The token's scope is not a string.")
    said = set(claim.split())
    return frozenset(scope for scope in Scope if scope.value in said)


def _public_key(settings: Settings) -> str:
    key = settings.jwt_public_key or ""
    try:
        jwt.get_algorithm_by_name(settings.jwt_algorithm).prepare_key(key)
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        told = f"JWT_PUBLIC_KEY: not a public key for {settings.jwt_algorithm} in PEM"
        raise BadSettings(told) from error
    return key


def _published_key(keys: PublishedKeys, header: dict[str, Any], claims: dict[str, Any]) -> Any:
    del claims
    found = keys.find(str(header.get("kid")))
    if found is None:
        raise jwt.InvalidKeyError("The issuer has no such key.")
    return found.key
