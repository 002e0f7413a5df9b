"""What the terminal shows: the supervisor's own lines, and each part's under its name."""

import sys
import threading
from contextlib import suppress
from typing import Final, TextIO

WIDTH: Final = 12
COLOURS: Final = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)


class Voice:
    """Writes whole lines from any thread; a terminal that went away is no reason to stop."""

    def __init__(self, stream: TextIO = sys.stdout) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._coloured = stream.isatty()
        self._colours: dict[str, int] = {}

    def say(self, text: str) -> None:
        """Tell what the supervisor does."""
        self.relay("sluice", text)

    def relay(self, name: str, text: str) -> None:
        """Show a line of the part `name`."""
        label = f"{name:<{WIDTH}}|"
        if self._coloured:
            colour = self._colours.setdefault(name, COLOURS[len(self._colours) % len(COLOURS)])
            label = f"\x1b[{colour}m{label}\x1b[0m"
        self.plain(f"{label} {text}")

    def plain(self, text: str) -> None:
        """Show a line as it is."""
        with self._lock, suppress(OSError, ValueError):
            self._stream.write(f"{text}\n")
            self._stream.flush()
