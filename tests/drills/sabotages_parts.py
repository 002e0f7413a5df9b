"""Sabotages of what stands between us and the parts: the store, the database, the disk."""

from datetime import timedelta
from typing import Any


def no_verification() -> None:
    """What the store took counts as what was written."""
    from worker.steps import publish

    def unseen(_draft: Any, bench: Any, key: str, *_said: Any) -> str:
        there = bench.objects.find(key)
        assert there is not None
        return str(there.etag)

    publish._seen = unseen  # type: ignore[assignment]


def outage_costs_an_attempt() -> None:
    """An outage of a part counts as a fault of the job."""
    from shared.model.job import problem
    from shared.services.claims import ClaimService

    def costs(self: ClaimService, claim: Any, outage: Any) -> None:
        self.try_again(claim, problem(outage))

    ClaimService.sit_out = costs  # type: ignore[method-assign]


def repeats_blindly() -> None:
    """Who opens an upload and hears nothing opens another, and keeps no idempotency key in mind."""
    from shared.errors import OutcomeUnknown
    from shared.services import uploads
    from shared.services.uploads import UploadService

    opened = UploadService.open

    def opens(self: UploadService, caller: Any, new: Any, **_said: Any) -> Any:
        try:
            return opened(self, caller, new)
        except OutcomeUnknown:
            return opened(self, caller, new)

    def lost(_records: Any, lost: OutcomeUnknown, _look: Any) -> Any:
        raise lost

    UploadService.open = opens  # type: ignore[method-assign]
    uploads.looked_up = lost  # type: ignore[attr-defined,assignment]


def short_writes() -> None:
    """What the disk did not take counts as written."""
    from shared.adapters import staging_disk
    from shared.errors import StorageFull

    writer = staging_disk.DiskChunkWriter
    written = writer.write

    def write(self: Any, block: bytes, /) -> None:
        try:
            written(self, block)
        except StorageFull:
            self._written += len(block)

    writer.write = write  # type: ignore[method-assign]
    writer._set_aside = lambda self, length: None  # type: ignore[method-assign]
    staging_disk.DiskStaging._refuse_full = lambda *said: None  # type: ignore[method-assign]


def refusals_end_workers() -> None:
    """A broker that refuses to write ends the workers, as it does by default."""
    from shared.adapters import dispatch_celery

    made = dispatch_celery.celery_app

    def celery_app(broker_url: str) -> Any:
        app = made(broker_url)
        app.conf.broker_channel_error_retry = False
        return app

    dispatch_celery.celery_app = celery_app


def hurried_store() -> None:
    """The store is waited for three seconds, and jobs wait shorter for it."""
    from shared.adapters import client_s3
    from shared.services import claims

    patient = client_s3.Config  # type: ignore[attr-defined]

    def hurried(**said: Any) -> Any:
        return patient(**{**said, "read_timeout": 3, "connect_timeout": 1})

    client_s3.Config = hurried  # type: ignore[attr-defined,assignment]
    pauses = tuple(timedelta(seconds=each) for each in (1, 1, 2, 2, 4))
    claims.OUTAGE_PAUSES = pauses  # type: ignore[misc]
