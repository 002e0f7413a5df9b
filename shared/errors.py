"""Everything Sluice says no with.

`AppError(message, **facts)`: the message says what to do, the facts are safe for clients; what is
not safe goes to the log through `raise ... from`. `code` is part of the API and listed in
`docs/errors.md`; `web` maps `kind` to a status, `worker` asks only `retryable`.

    AppError
      Invalid              invalid          invalid_request
        Unprocessable      unprocessable    invalid_request
          FileEmpty          unprocessable    file_empty
        ChunkTooSmall      unprocessable    chunk_too_small
      DigestMismatch       invalid          digest_mismatch
      BodyCut              invalid          body_cut
      IdempotencyMisuse    unprocessable    idempotency_key_reused
      Unauthenticated      unauthenticated  unauthenticated
      Forbidden            forbidden        forbidden
      NotFound             not_found        {upload,job,file,thumbnail,webhook,...}_not_found
      Conflict             conflict         conflict
        NameTaken          conflict         name_taken
        NotReceiving       conflict         upload_not_receiving
        ChunkConflict      conflict         chunk_conflict
        ChunkMisplaced     conflict         chunk_misplaced
        ChunksMissing      conflict         chunks_missing
        OffsetMismatch     conflict         offset_mismatch
        IllegalTransition  conflict         illegal_transition
        LeaseLost          conflict         lease_lost
        KeyTaken           conflict         key_taken
      Gone                 gone             gone
      TooLarge             too_large        too_large
      QuotaExceeded        too_large        quota_exceeded
      Unsupported          unsupported      type_not_allowed
        UnsupportedCoding  unsupported      coding_unsupported
      Limited              limited          limited
      Unavailable          unavailable      {records,objects,staging,board}_unavailable
        OutcomeUnknown     unavailable      records_unavailable
        AccessDenied       unavailable      objects_denied
        NotJoined          unavailable      objects_unavailable
        StorageFull        no_space         storage_full
      Interrupted          interrupted      {decoder}_interrupted
      Rejected             rejected         the file's own fault; the job ends `rejected`
      Damaged              damaged          storage_corrupt
      ObjectLost           lost             object_lost
      JobFailed            lost             job_failed
      NotInTime            late             not_in_time
"""

from typing import Any, ClassVar, Final


class AppError(Exception):
    """A refusal with a stable code, a kind, and facts that clients may see."""

    kind: ClassVar[str] = "invalid"
    code: str = "invalid_request"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.facts: Final = facts


class Invalid(AppError):
    """The request is wrong in itself. `errors` lists `{pointer, detail}` per field."""

    def __init__(self, message: str, *, pointer: str | None = None, **facts: Any) -> None:
        if pointer is not None:
            facts["errors"] = [{"pointer": pointer, "detail": message}]
        super().__init__(message, **facts)


class Unprocessable(Invalid):
    """Well formed, but a value is out of bounds."""

    kind = "unprocessable"


class FileEmpty(Unprocessable):
    code = "file_empty"


class ChunkTooSmall(Unprocessable):
    """One more small piece of an upload that has come in too many; `minimum` is in bytes."""

    code = "chunk_too_small"


class DigestMismatch(AppError):
    code = "digest_mismatch"


class BodyCut(AppError):
    code = "body_cut"


class IdempotencyMisuse(AppError):
    kind = "unprocessable"
    code = "idempotency_key_reused"


class Unauthenticated(AppError):
    kind = "unauthenticated"
    code = "unauthenticated"


class Forbidden(AppError):
    kind = "forbidden"
    code = "forbidden"


class NotFound(AppError):
    """There is no such thing, or it belongs to somebody else: the answer is the same."""

    kind = "not_found"

    def __init__(self, noun: str, **facts: Any) -> None:
        super().__init__(f"There is no such {noun}.", **facts)
        self.code = f"{noun.replace(' ', '_')}_not_found"


class Conflict(AppError):
    kind = "conflict"
    code = "conflict"


class NameTaken(Conflict):
    """Another file lies under the key that this one's name would make."""

    code = "name_taken"


class DirectUnavailable(Conflict):
    """There is no object store that clients could send bytes to by themselves."""

    code = "direct_unavailable"


class NotReceiving(Conflict):
    code = "upload_not_receiving"


class ChunkConflict(Conflict):
    code = "chunk_conflict"


class ChunkMisplaced(Conflict):
    code = "chunk_misplaced"


class ChunksMissing(Conflict):
    code = "chunks_missing"


class OffsetMismatch(Conflict):
    code = "offset_mismatch"


class IllegalTransition(Conflict):
    code = "illegal_transition"


class LeaseLost(Conflict):
    """Somebody else holds the job now; stop quietly."""

    code = "lease_lost"


class Gone(AppError):
    kind = "gone"
    code = "gone"


class TooLarge(AppError):
    kind = "too_large"
    code = "too_large"


class QuotaExceeded(AppError):
    kind = "too_large"
    code = "quota_exceeded"


class Unsupported(AppError):
    kind = "unsupported"
    code = "type_not_allowed"


class UnsupportedCoding(Unsupported):
    """Bytes are stored as they come: those of a coding would not be the file's."""

    code = "coding_unsupported"


class Limited(AppError):
    kind = "limited"
    code = "limited"
    retryable = True


class Unavailable(AppError):
    """A part we depend on does not answer: `what` is one of records, objects, staging, board."""

    kind = "unavailable"
    retryable = True

    def __init__(self, what: str, message: str, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.code = f"{what}_unavailable"


class OutcomeUnknown(Unavailable):
    """A commit whose answer was lost: it may have happened. Look, never just repeat."""


class AccessDenied(Unavailable):
    """The object store answers, and refuses our credentials: its operators have to see to it."""

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__("objects", message, **facts)
        self.code = "objects_denied"


class NotJoined(Unavailable):
    """The object store makes no file of parts that it copied: they have to be sent."""

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__("objects", message, **facts)


class StorageFull(Unavailable):
    kind = "no_space"

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__("staging", message, **facts)
        self.code = "storage_full"


class Interrupted(AppError):
    """The host ended our work half way, and who is at fault is not known: the attempt counts."""

    kind = "interrupted"

    def __init__(self, what: str, message: str, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.code = f"{what}_interrupted"


class Rejected(AppError):
    """The file itself is at fault; the job ends `rejected` and says why. `code` says how."""

    kind = "rejected"

    def __init__(self, code: str, message: str, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.code = code


class Damaged(AppError):
    """Staged bytes are not the ones that were acknowledged; nothing is published."""

    kind = "damaged"
    code = "storage_corrupt"


class ObjectLost(AppError):
    """The object of a file is not in the store; nothing that clients do brings it back."""

    kind = "lost"
    code = "object_lost"


class KeyTaken(Conflict):
    """A create-only write found an object under its key."""

    code = "key_taken"


class JobFailed(AppError):
    """Of an upload that somebody waits for: its job failed, and its bytes are kept."""

    kind = "lost"
    code = "job_failed"


class NotInTime(AppError):
    """A job that somebody waits for goes on; `job_id` says which."""

    kind = "late"
    code = "not_in_time"
