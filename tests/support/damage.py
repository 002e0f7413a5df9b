"""A store that keeps other bytes than it was sent, and does not say so: it checks nothing."""

from dataclasses import replace
from typing import Final

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from shared.adapters.client_s3 import S3Place
from tests.support.weather import Answer, Call, Fault

_SIGNED: Final = ("content-type", "if-match", "if-none-match", "x-amz-meta-upload-id")
_TELLING: Final = frozenset({"x-amz-checksum-crc64nvme", "x-amz-checksum-type"})


def silently(place: S3Place, *, short: bool = False) -> Fault:
    """The store takes a body that is damaged, or `short`, for what was sent: it checks nothing."""

    def damaged(call: Call) -> Answer:
        body = bytearray(call.body)
        body[len(body) // 2] ^= 1
        return _sent_anew(call, place, bytes(body[:-1] if short and len(body) > 1 else body))

    return damaged


def _sent_anew(call: Call, place: S3Place, body: bytes) -> Answer:
    """Sign the request again for another body, without the checksum that would give it away."""
    said = {name.lower(): value for name, value in call.headers.items()}
    kept: dict[str, str] = {name: said[name] for name in _SIGNED if name in said}
    request = AWSRequest(
        method=call.method,
        url=f"http://{said['host']}{call.path}",
        headers=kept | {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"},
        data=body,
    )
    keys = Credentials(place.access_key_id or "", place.secret_access_key or "")
    S3SigV4Auth(keys, "s3", place.region).add_auth(request)
    headers = {
        **dict(request.headers.items()),
        "Host": said["host"],
        "Content-Length": str(len(body)),
    }
    return replace(call, headers=headers, body=body).forward()


def mute(call: Call) -> Answer:
    """Answer as a store does that has no checksums, and whose ETags are not made of the bytes."""
    answer = call.forward()
    said = [pair for pair in answer.headers if pair[0].lower() not in _TELLING | {"etag"}]
    return replace(answer, headers=[*said, ("ETag", '"0123"')])
