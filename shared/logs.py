"""Log lines: JSON in production, columns at the desk; the same fields in every process.

The first argument of a log call is an event in past tense, facts go into `extra`; what `bind` was
told (request, job, upload) is on every line until `unbind`. No line has a secret in it that looks like one
of ours, wherever it comes from.
"""

import logging
import re
import sys
from typing import Any, Final

import structlog
from structlog.contextvars import bind_contextvars, clear_contextvars, merge_contextvars
from structlog.stdlib import ExtraAdder, ProcessorFormatter, add_log_level, add_logger_name

_ID: Final = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_SECRET: Final = re.compile(
    # Of an address that is a right: an id, a hyphen in any spelling, and what nobody else may know.
    rf"(?P<shown>{_ID}(?:-|%(?:25)*2d))[\w%-]{{22,}}"
    # Of a signed link, or a token: three words with dots between, of which the last is the signature.
    # The first begins as JSON does, in base64 or compressed; and nowhere else, for a long run of letters
    # would be tried from each of them.
    r"|(?<![\w-])(?:eyJ|eJ|Wy)[\w-]{5,}\.[\w-]{6,}\.[\w-]{27,}",
    re.IGNORECASE | re.ASCII,
)


def set_up(level: str, form: str) -> None:
    """Send all logging of this process to stderr, one line an event."""
    chain: list[Any] = [
        merge_contextvars,
        add_log_level,
        add_logger_name,
        ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Any]
    if form == "json":
        last = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        # Plain tracebacks: the pretty ones print local variables, and with them secrets.
        plain = structlog.dev.plain_traceback
        last = [structlog.dev.ConsoleRenderer(colors=False, exception_formatter=plain)]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=chain,
            processors=[ProcessorFormatter.remove_processors_meta, *last, _without_secrets],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for chatty in ("botocore", "boto3", "urllib3", "s3transfer", "PIL"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def masked(text: str) -> str:
    """Return the text without what looks like a secret of ours; whose it was can still be told."""
    return _SECRET.sub(lambda found: f"{found['shown'] or ''}…", text)


def bind(**facts: str | int) -> None:
    bind_contextvars(**facts)


def unbind() -> None:
    clear_contextvars()


def _without_secrets(logger: Any, method: str, line: Any) -> Any:
    """Mask the whole line, as the renderer before has written it."""
    del logger, method
    return masked(line)
