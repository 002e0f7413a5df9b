"""What a folder of objects says no with, in our words."""

from collections.abc import Iterator
from contextlib import contextmanager

from shared.errors import NotFound, Unavailable


@contextmanager
def translated() -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound("object") from error
    except OSError as error:
        raise Unavailable("objects", "The folder of objects does not answer.") from error


@contextmanager
def begun() -> Iterator[None]:
    """Say of a multipart upload that somebody aborted: it has to begin again."""
    try:
        yield
    except NotFound as error:
        raise Unavailable("objects", "The multipart upload is gone.") from error
