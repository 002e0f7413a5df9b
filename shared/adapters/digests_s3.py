"""What S3 says of bytes: ETags and checksums, in the forms it has for them."""

import base64
import hashlib
import re
from collections.abc import Mapping
from typing import Any

from shared.model.digest import crc64, joined_crc64
from shared.model.stored import Copied, Written


def expected(written: Written) -> tuple[str, int, str]:
    """Return the ETag, the length in bytes and the CRC-64/NVME that S3 has for what was written.

    The ETag is right only where S3 makes it of MD5 (not with SSE-KMS); otherwise it fits nothing.
    """
    if isinstance(written, bytes):
        etag = hashlib.md5(written, usedforsecurity=False).hexdigest()
        return etag, len(written), base64_of(crc64(written))
    if isinstance(written, Copied):
        return written.etag, written.length, base64_of(written.crc64)
    joined = b"".join(bytes.fromhex(part.etag) for part in written if _is_md5(part.etag))
    digest = hashlib.md5(joined, usedforsecurity=False).hexdigest()
    checksum = joined_crc64((part.crc64, part.length) for part in written)
    return f"{digest}-{len(written)}", sum(part.length for part in written), base64_of(checksum)


def told(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the answer to a copy says of the part that it made."""
    return {name: answer[name] for name in ("ETag", "ChecksumCRC64NVME") if name in answer}


def bare(etag: str) -> str:
    return etag.strip('"')


def base64_of(checksum: int) -> str:
    return base64.b64encode(checksum.to_bytes(8, "big")).decode()


def _is_md5(etag: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{32}", etag) is not None
