"""The sweeps, one function each: what has ended is put away, what nobody owns is removed.

Each is bounded, can run twice, and can be killed anywhere: the next run goes on. What is deleted
was seen twice, a grace apart, or its row says that it has to go; and it is provably ours. The tuple
below is where the schedule, the command and the documentation come from.
"""

from datetime import timedelta
from typing import Final

from shared.services.sweeps.audits import audit, reread
from shared.services.sweeps.deletions import deletions
from shared.services.sweeps.direct import direct_leftovers
from shared.services.sweeps.files import deleted_files, expired_files, gateway_files
from shared.services.sweeps.high_water import high_water
from shared.services.sweeps.multiparts import multiparts
from shared.services.sweeps.objects import object_orphans
from shared.services.sweeps.replacements import replacements
from shared.services.sweeps.runs import Sweep
from shared.services.sweeps.staging import staging_orphans
from shared.services.sweeps.uploads import expired_uploads, failed_uploads, job_records

SWEEPS: Final = (
    Sweep(
        "expired-uploads",
        timedelta(minutes=1),
        expired_uploads,
        "unfinished uploads whose time is over: they become `expired`, bytes and room are given back",
    ),
    Sweep(
        "failed-uploads",
        timedelta(hours=1),
        failed_uploads,
        "the bytes and the reserved room of failed uploads that can't be retried any more",
    ),
    Sweep(
        "staging-orphans",
        timedelta(minutes=10),
        staging_orphans,
        "staged bytes that no chunk refers to",
    ),
    Sweep(
        "direct-leftovers",
        timedelta(minutes=1),
        direct_leftovers,
        "what uploads straight to the store have left in its staging prefix",
    ),
    Sweep(
        "deletions",
        timedelta(minutes=1),
        deletions,
        "objects of files that were deleted for good while the store did not answer",
    ),
    Sweep(
        "object-orphans",
        timedelta(hours=1),
        object_orphans,
        "objects in the bucket that are ours and belong to no file",
    ),
    Sweep(
        "replacements",
        timedelta(minutes=5),
        replacements,
        "the claims of uploads that failed or were cancelled to the object they were to replace; what is replaced is finished",
    ),
    Sweep(
        "high-water",
        timedelta(minutes=5),
        high_water,
        "nothing: it notes in the bucket how far the database has come, and says when that is older",
    ),
    Sweep(
        "multiparts",
        timedelta(hours=1),
        multiparts,
        "open multipart uploads that nobody will complete",
    ),
    Sweep(
        "expired-files",
        timedelta(minutes=5),
        expired_files,
        "files whose time is over: deleted softly, webhooks hear `file.expired`",
    ),
    Sweep(
        "gateway-files",
        timedelta(minutes=5),
        gateway_files,
        "old files of the profile `gateway`, if they are to expire at all: as `expired-files` does",
    ),
    Sweep(
        "deleted-files",
        timedelta(hours=1),
        deleted_files,
        "softly deleted files, for good: rows, objects, thumbnails, and their share of the quota",
    ),
    Sweep(
        "job-records",
        timedelta(hours=1),
        job_records,
        "rows of ended uploads and their jobs, of idempotency keys, and of settled deliveries",
    ),
    Sweep(
        "audit",
        timedelta(hours=24),
        audit,
        "nothing: it holds rows, objects, staging, quotas and the board against each other",
        budget=timedelta(hours=1),
    ),
    Sweep(
        "reread",
        timedelta(hours=24),
        reread,
        "nothing: it reads stored bytes again and compares their checksums",
        budget=timedelta(hours=1),
    ),
)
