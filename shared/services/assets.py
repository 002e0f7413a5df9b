"""What other services of one house store: speech, pictures, films, attachments of chats.

They call this in their own process instead of sending requests; the bytes go the way of all uploads,
and the answer is the public address of a file that is there. Keys are where the storage service of
before had them.
"""

from dataclasses import dataclass, replace
from io import BytesIO
from typing import BinaryIO, Final

from shared.errors import NotInTime, Unsupported
from shared.model.caller import Caller
from shared.model.job import JobStatus
from shared.model.layout import Layout
from shared.model.media import Category
from shared.model.predecessors import STORAGE
from shared.model.upload import NewUpload
from shared.services.describing import Describing
from shared.services.intake import BLOCK_BYTES
from shared.services.jobs import JobService
from shared.services.outcomes import without_file
from shared.services.uploads import UploadService

CHAT: Final = "chat/1"
_SPEECH, _IMAGE, _VIDEO = "tts", "image", "video"
_WAIT_SECONDS: Final = 60.0


def layout_at(place: str, *, forced: bool) -> Layout:
    """Return how assets at this place are named: `forced` by their bare name, else never twice."""
    name = "{plain}" if forced else "{date}_{uuid8}_{plain}"
    return Layout(f"{{tenant}}/assets/{place}/{name}")


@dataclass(frozen=True, slots=True)
class Asset:
    """Whose an asset is and how it is kept.

    `customer` is the tenant. With `force_filename` the key has the bare name, and a second of it is
    `NameTaken` unless it is to `replace` the first.
    """

    customer: int | str
    owner: str = "assets"
    content_type: str | None = None
    force_filename: bool = False
    replace: bool = False
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class AssetService:
    """`wait_seconds` is how long a worker is waited for.

    Every verb takes the bytes, or a file that is open for reading, and returns the public URL. It
    raises what opening an upload raises (`Unsupported`, `TooLarge`, `FileEmpty`, `NameTaken`,
    `QuotaExceeded`), `Rejected` when the file is at fault, `JobFailed` when we are, and `NotInTime`
    when the job goes on: with the same `idempotency_key` the same call goes on waiting.
    """

    uploads: UploadService
    jobs: JobService
    describing: Describing
    wait_seconds: float = _WAIT_SECONDS

    def upload_audio(self, content: bytes | BinaryIO, filename: str, asset: Asset) -> str:
        """Store speech that was made, at `{customer}/assets/tts/…`."""
        return self._stored(content, filename, asset, _SPEECH, Category.AUDIO)

    def upload_image(self, content: bytes | BinaryIO, filename: str, asset: Asset) -> str:
        """Store a picture that was made, at `{customer}/assets/image/…`."""
        return self._stored(content, filename, asset, _IMAGE, Category.IMAGE)

    def upload_video(self, content: bytes | BinaryIO, filename: str, asset: Asset) -> str:
        """Store a film that was made, at `{customer}/assets/video/…`."""
        return self._stored(content, filename, asset, _VIDEO, Category.VIDEO)

    def upload_chat_attachment(self, content: bytes | BinaryIO, filename: str, asset: Asset) -> str:
        """Store whatever a chat may have attached, at `{customer}/assets/chat/1/…`."""
        return self._stored(content, filename, asset, CHAT, None)

    def _stored(
        self,
        content: bytes | BinaryIO,
        filename: str,
        asset: Asset,
        place: str,
        category: Category | None,
    ) -> str:
        caller = Caller(asset.owner, str(asset.customer))
        new = NewUpload(
            filename,
            content_type=asset.content_type,
            is_public=True,
            profile=STORAGE,
            layout=layout_at(place, forced=asset.force_filename),
            replace=asset.replace,
        )
        source = BytesIO(content) if isinstance(content, bytes) else content
        known = {"declared": asset.content_type, "profile": STORAGE}
        with self.uploads.begin_submission(caller, filename, **known) as intake:
            while block := source.read(BLOCK_BYTES):
                intake.write(block)
            intake.finish()
            new = replace(new, size=intake.length)
            verdict = self.uploads.rehearse(caller, new, intake.head)
            if category not in {None, verdict.category}:
                told = f"The file is {verdict.content_type}, and no {category}."
                raise Unsupported(told, detected=verdict.content_type)
            job = self.uploads.submit(caller, new, intake, idempotency_key=asset.idempotency_key)
        return self._url(self.jobs.wait(caller, self.jobs.begun(caller, job), self.wait_seconds))

    def _url(self, status: JobStatus) -> str:
        job, file = status.job, status.visible_file
        if file is not None:
            return str(self.describing.file(file)["url"])
        if not job.is_final:
            raise NotInTime("The file is here; its job goes on.", job_id=job.id)
        raise without_file(job)
