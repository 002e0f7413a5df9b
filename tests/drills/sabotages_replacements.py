"""Sabotages of what lets a file take another's place: each turns one defence of it off."""

from collections.abc import Callable
from typing import Any, Final


def own_object_not_known() -> None:
    """Who wrote over a file, and does not hear so, takes its own object for somebody else's."""
    from shared.errors import Conflict, KeyTaken
    from worker.steps import publish

    written_over = publish._written_over

    def forgetful(draft: Any, bench: Any, key: str, written: Any, write: Any) -> str:
        def once(etag: str | None) -> None:
            try:
                write(etag)
            except KeyTaken as taken:
                raise Conflict("Another object lies under this file's key.") from taken

        return written_over(draft, bench, key, written, once)

    publish._written_over = forgetful


def replaced_room_kept() -> None:
    """What is replaced goes on to count."""
    from shared.services import publishing

    ended = publishing._end_replaced

    def keeps(rows: Any, events: Any, upload: Any) -> Any:
        old = rows.files.find(upload.replaces or "")
        said = ended(rows, events, upload)
        if old is not None:
            rows.quotas.use(old.tenant, old.size, 0)
        return said

    publishing._end_replaced = keeps


def old_thumbnails_kept() -> None:
    """The thumbnails of what is replaced are nobody's, and not said to be."""
    from shared.services import publishing

    ended = publishing._end_replaced

    def keeps(rows: Any, events: Any, upload: Any) -> Any:
        old = rows.files.find(upload.replaces or "")
        said = ended(rows, events, upload)
        rows.objects.link([] if old is None else [small.key for small in old.thumbnails])
        return said

    publishing._end_replaced = keeps


SABOTAGES: Final[dict[str, Callable[[], None]]] = {
    "own-object-not-known": own_object_not_known,
    "replaced-room-kept": replaced_room_kept,
    "old-thumbnails-kept": old_thumbnails_kept,
}
