"""Multipart forms with one chunk in them, pulled: who reads the chunk's bytes reads the form.

What stands before the chunk is known before its first byte is taken, so that it can stream to where
it belongs; what stands after it is read before its end is told, so that no form is half believed.
"""

from collections.abc import Iterator
from typing import Final

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData

from shared.errors import BodyCut, Invalid, TooLarge, Unprocessable
from web.forms import BUFFER_BYTES, MOST_FIELDS_BYTES, MOST_PARTS, boundary_of
from web.requests import RequestBody

_FIELD: Final = "chunk"


class ChunkForm:
    """The form of a request, and as a `Body` the bytes of its field `chunk`.

    `fields` are the other fields that have been read. Reading raises `BodyCut`, `Invalid`,
    `TooLarge`, `Unprocessable`; the bytes end when all of the form has been read, and was right.
    """

    length: Final = None
    is_cut: Final = False

    def __init__(self, request: Request, largest: int) -> None:
        self._decoder = MultipartDecoder(
            boundary_of(request, _FIELD, largest), MOST_FIELDS_BYTES, max_parts=MOST_PARTS
        )
        self._raw = RequestBody(request)
        self._events = self._read()
        self._rest = b""
        self._is_inside = False  # of the chunk
        self._room = MOST_FIELDS_BYTES
        self.fields: dict[str, str] = {}

    def begin(self) -> None:
        """Read up to the chunk."""
        self._take_fields()
        if not self._is_inside:
            raise Unprocessable(f"There is no chunk in the field `{_FIELD}`.", pointer="/chunk")

    def read(self, size: int, /) -> bytes:
        while not self._rest and self._is_inside:
            event = next(self._events)
            if isinstance(event, Data):
                self._rest, self._is_inside = event.data, event.more_data
                if not event.more_data:
                    self._take_fields()
                    if self._is_inside:
                        raise Invalid("Send one chunk at a time.", pointer="/chunk")
        block, self._rest = self._rest[:size], self._rest[size:]
        return block

    def _take_fields(self) -> None:
        """Read parts up to the next chunk, or to the end of the form."""
        for event in self._events:
            if isinstance(event, (Field, File)):
                if event.name == _FIELD:
                    self._is_inside = True
                    return
                if isinstance(event, File):
                    raise Invalid(f"Send a file in the field `{_FIELD}` only.")
                self._keep(event.name or "")

    def _keep(self, name: str) -> None:
        said = bytearray()
        for event in self._events:
            if isinstance(event, Data):
                said += event.data
                if len(said) > self._room:
                    raise TooLarge("The form has too many or too large fields.")
                if not event.more_data:
                    break
        self._room -= len(said)
        if name in self.fields:
            raise Invalid("A field stands twice in this form.", pointer=f"/{name}")
        self.fields[name] = said.decode("utf-8", "replace")

    def _read(self) -> Iterator[Event]:
        """Yield what the form consists of, up to its end."""
        event: Event | None = None
        while not isinstance(event, Epilogue):
            try:
                event = self._decoder.next_event()
                if isinstance(event, NeedData):
                    self._decoder.receive_data(self._raw.read(BUFFER_BYTES) or None)
            except RequestEntityTooLarge as error:
                raise TooLarge("The form has too many or too large fields.") from error
            except ValueError as error:
                if self._decoder.complete:
                    raise BodyCut("The form ends before its closing boundary.") from error
                raise Invalid("The body is not a valid form.") from error
            if not isinstance(event, NeedData):
                yield event
