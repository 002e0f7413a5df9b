"""What a client asks for, made into an upload with its final key, before it has a row."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.errors import DirectUnavailable, FileEmpty, NameTaken, Unprocessable
from shared.model import naming
from shared.model.caller import Caller
from shared.model.digest import is_sha256
from shared.model.direct import part_size
from shared.model.file import File
from shared.model.layout import Layout, Named
from shared.model.lifecycle import UploadState
from shared.model.media import canonical
from shared.model.upload import NewUpload, Transfer, Upload
from shared.records import Transaction
from shared.services.fitting import MOST_CHUNKS
from shared.services.forgetting import being_replaced, is_waiting
from shared.services.screening import Screening


@dataclass(frozen=True, slots=True)
class UploadRules:
    """`chunk_size` in bytes when the client names none; `lifetime` of an unfinished upload.

    `layout` names the objects of those who have no way of their own. What clients send straight to
    the store waits below `staging_prefix`; None where there is no such store.
    """

    chunk_size: int
    lifetime: timedelta
    layout: Layout
    max_chunks: int = MOST_CHUNKS
    allow_empty: bool = False
    staging_prefix: str | None = None

    def staged_key(self, upload_id: str) -> str:
        """Return where an upload waits that goes straight to the store. Raises `DirectUnavailable`."""
        if self.staging_prefix is None:
            raise DirectUnavailable("Uploads straight to the store need STORAGE_BACKEND=s3.")
        return naming.staged_directly(self.staging_prefix) + upload_id

    def key_of(self, named: Named, layout: Layout) -> str:
        """Return the key that a layout makes; `Unprocessable` where uploads wait in the store.

        There a link to write for one upload could be one to write over a finished file.
        """
        key = layout.key(named)
        if self.staging_prefix is not None and key.startswith(self.staging_prefix):
            raise Unprocessable("This folder is the service's own.", pointer="/folder")
        return key


def drafted(
    caller: Caller,
    new: NewUpload,
    upload_id: str,
    *,
    screening: Screening,
    rules: UploadRules,
    now: datetime,
) -> Upload:
    """Return the upload that the client asks for, or refuse it.

    Raises `Unprocessable`, `Unsupported`, `TooLarge`.
    """
    # First what the file will be called: its extension is judged, not one hidden in the name.
    filename, folder = naming.clean_filename(new.filename), naming.clean_folder(new.folder)
    screening.refuse_declaration(replace(new, filename=filename))
    is_stream = new.transfer in {
        Transfer.STREAM,
        Transfer.PART,
    }  # empty ones are their job's to refuse
    if new.size == 0 and not rules.allow_empty and not is_stream:
        raise FileEmpty("The file is empty.", pointer="/size")
    if new.replace and new.transfer is Transfer.DIRECT:
        raise Unprocessable("An upload straight to the store replaces nothing.", pointer="/replace")
    if new.sha256 is not None and not is_sha256(new.sha256):
        raise Unprocessable("A SHA-256 is 64 hexadecimal digits.", pointer="/sha256")
    upload = Upload(
        id=upload_id,
        tenant=caller.tenant,
        owner=caller.subject,
        state=UploadState.RECEIVING,
        filename=filename,
        folder=folder,
        description=new.description,
        size=new.size,
        chunk_size=_chunk_size(new, rules),
        declared_type=canonical(new.content_type),
        sha256=new.sha256,
        attributes=dict(new.metadata),
        tags=sorted(set(new.tags)),
        is_public=new.is_public,
        expires_in=new.expires_in,
        reference=new.reference,
        profile=new.profile,
        key="",
        received=0,
        reserved=new.size or 0,
        created_at=now,
        updated_at=now,
        expires_at=now,
        transfer=new.transfer,
    )
    return replace(upload, key=rules.key_of(named(upload), new.layout or rules.layout))


def named(thing: Upload | File) -> Named:
    return Named(
        thing.id,
        thing.filename,
        thing.folder,
        thing.tenant,
        thing.owner,
        thing.reference,
        thing.created_at,
    )


def claimed_key(rows: Transaction, rules: UploadRules, named: Named, layout: Layout) -> str:
    """Claim a key for as long as its upload lives, with a suffix if it is taken.

    Raises `NameTaken` where the layout leaves no other.
    """
    key = rules.key_of(named, layout)
    if rows.objects.intend(key, named.upload_id):
        return key
    if not layout.is_bare:
        key = layout.key(named, suffix=f"_{named.upload_id[-12:]}")
        if rows.objects.intend(key, named.upload_id):
            return key
    raise name_taken(named.filename)


def with_a_key(
    rows: Transaction, rules: UploadRules, upload: Upload, layout: Layout, replacing: Caller | None
) -> Upload:
    """Claim the upload's key as long as it lives.

    With `replacing` it may stay that of a file which this caller sees, until the upload is published.
    Raises `Conflict` while another replacement of that file waits for the store.
    """
    try:
        return replace(upload, key=claimed_key(rows, rules, named(upload), layout))
    except NameTaken:
        old = None if replacing is None else rows.files.under(upload.key)
        if not (replacing and old and replacing.sees(tenant=old.tenant, owner=old.owner)):
            raise
        record = rows.objects.known([old.key]).get(old.key)
        if record is not None and is_waiting(rows, record.successor):
            raise being_replaced(rows, [old])[old.id] from None
        return replace(upload, replaces=old.id)


def name_taken(filename: str) -> NameTaken:
    return NameTaken("Another file has this name here.", filename=filename)


def _chunk_size(new: NewUpload, rules: UploadRules) -> int:
    if new.transfer is Transfer.DIRECT:
        return part_size(new.size, new.chunk_size)
    if new.chunk_size is None:
        least = -(-(new.size or 0) // rules.max_chunks)
        return max(rules.chunk_size, least)
    if new.size is not None and -(-new.size // new.chunk_size) > rules.max_chunks:
        raise Unprocessable(
            f"That would be more than {rules.max_chunks} chunks.", pointer="/chunk_size"
        )
    return new.chunk_size
