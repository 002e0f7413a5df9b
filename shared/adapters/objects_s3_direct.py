"""What clients of an S3 bucket may do by themselves: presigned requests, SigV4 always."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from shared.adapters.client_s3 import Patience, S3Place, s3_client, translated
from shared.adapters.digests_s3 import bare
from shared.adapters.objects_s3_writes import S3Writes
from shared.model.direct import Form
from shared.model.stored import PartSeen


class S3Direct(S3Writes):
    def __init__(self, place: S3Place, patience: Patience) -> None:
        super().__init__(place, patience)
        public = place.public_endpoint
        self._signer = s3_client(place, public) if public else self._client

    def sign_put(
        self, key: str, lifetime: timedelta, *, size: int | None, content_type: str | None
    ) -> str:
        said = {"ContentLength": size, "ContentType": content_type}
        known = {name: value for name, value in said.items() if value is not None}
        return self._signed("put_object", key, lifetime, **known)

    def sign_form(
        self, key: str, lifetime: timedelta, *, least: int, most: int, content_type: str | None
    ) -> Form:
        said = {} if content_type is None else {"Content-Type": content_type}
        fields: dict[str, str] = {**said, "success_action_status": "201"}
        conditions: list[Any] = [{name: text} for name, text in fields.items()]
        # Says if there are no credentials, as forms don't.
        self._signed("put_object", key, lifetime)
        with translated(key):
            signed = self._signer.generate_presigned_post(
                self._place.bucket,
                key,
                Fields=fields,
                Conditions=[*conditions, ["content-length-range", least, most]],
                ExpiresIn=int(lifetime.total_seconds()),
            )
        return Form(signed["url"], signed["fields"])

    def begin_parts(self, key: str, *, content_type: str | None) -> str:
        # No checksum is asked for: the parts' senders make none.
        known: Any = {} if content_type is None else {"ContentType": content_type}
        with self._asking(key):
            answer = self._client.create_multipart_upload(
                Bucket=self._place.bucket, Key=key, **known
            )
            return answer["UploadId"]

    def sign_part(
        self, key: str, multipart_id: str, number: int, lifetime: timedelta, *, size: int | None
    ) -> str:
        known = {} if size is None else {"ContentLength": size}
        part = {"UploadId": multipart_id, "PartNumber": number}
        return self._signed("upload_part", key, lifetime, **part, **known)

    def parts(self, key: str, multipart_id: str) -> Iterator[PartSeen]:
        paginator = self._client.get_paginator("list_parts")
        with self._asking(key):
            for page in paginator.paginate(
                Bucket=self._place.bucket, Key=key, UploadId=multipart_id
            ):
                for each in page.get("Parts", []):
                    yield PartSeen(each["PartNumber"], each["Size"], bare(each["ETag"]))

    def join_parts(self, key: str, multipart_id: str, parts: Sequence[PartSeen]) -> None:
        listed: Any = [{"PartNumber": part.number, "ETag": f'"{part.etag}"'} for part in parts]
        with self._asking(key):
            self._slow.complete_multipart_upload(
                Bucket=self._place.bucket,
                Key=key,
                UploadId=multipart_id,
                MultipartUpload={"Parts": listed},
            )

    def _signed(self, method: str, key: str, lifetime: timedelta, **said: Any) -> str:
        # Not `_asking`: the store itself is not asked, though maybe who has the credentials.
        with translated(key):
            url: str = self._signer.generate_presigned_url(
                method,
                Params={"Bucket": self._place.bucket, "Key": key, **said},
                ExpiresIn=int(lifetime.total_seconds()),
            )
            return url
