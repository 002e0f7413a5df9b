"""Objects put into a store, whole or in parts, and what lies there."""

from io import BytesIO
from typing import Final

from shared.model.stored import StoredObject
from shared.ports import ObjectStore

MIB: Final = 1024**2
FIVE: Final = 5 * MIB  # S3 wants all parts but the last to have so much
KEY: Final = "2026/11/21/id_name.txt"


def put(store: ObjectStore, key: str, body: bytes, upload_id: str = "u") -> str:
    return store.put(key, body, content_type="text/plain", upload_id=upload_id)


def put_in_parts(store: ObjectStore, key: str, body: bytes, upload_id: str = "u") -> str:
    multipart_id = store.begin_multipart(key, content_type="text/plain", upload_id=upload_id)
    try:
        part = store.put_part(key, multipart_id, 1, 0, BytesIO(body))
        return store.complete_multipart(key, multipart_id, [part])
    finally:
        store.abort_multipart(key, multipart_id)


def seen(store: ObjectStore, key: str = KEY) -> StoredObject:
    found = store.find(key)
    assert found is not None
    return found


def begin(store: ObjectStore, key: str = KEY) -> str:
    return store.begin_multipart(key, content_type="text/plain", upload_id="u")


def content(store: ObjectStore, key: str = KEY) -> bytes:
    found = store.find(key)
    assert found is not None
    return b"".join(store.read(key, 0, found.size))


def etag_of(store: ObjectStore, key: str) -> str:
    found = store.find(key)
    assert found is not None
    return found.etag
