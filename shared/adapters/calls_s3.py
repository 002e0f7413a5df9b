"""Tells the log, at DEBUG, of every request to an S3 store: what was asked, and how it ended.

Facts of our own choice: what the SDK logs by itself has signatures and credentials in it.
"""

import logging
import time
from typing import Any, Final

from botocore.hooks import BaseEventHooks

log = logging.getLogger(__name__)

_NOTED: Final = "sluice"
_NAMES: Final = ("Bucket", "Key", "Prefix", "Range", "UploadId", "PartNumber")


def tell_of_calls(events: BaseEventHooks) -> None:
    """Listen to a client's requests."""
    events.register("provide-client-params.s3", _note)
    events.register("after-call.s3", _tell_answer)
    events.register("after-call-error.s3", _tell_failure)


def _note(params: Any, model: Any, context: Any, **_: Any) -> None:
    if not log.isEnabledFor(logging.DEBUG):
        return
    facts = {name.lower(): params[name] for name in _NAMES if name in params}
    facts["operation"] = model.name
    if context.get("is_presign_request"):
        log.debug("s3_link_signed", extra=facts)
    else:
        context[_NOTED] = (time.monotonic(), facts)


def _tell_answer(http_response: Any, parsed: Any, context: Any, **_: Any) -> None:
    if _NOTED in context:
        retries = parsed.get("ResponseMetadata", {}).get("RetryAttempts", 0)
        facts = {"status": http_response.status_code, "retries": retries}
        if "Error" in parsed:
            facts["code"] = parsed["Error"].get("Code")
        _tell("s3_answered", context, facts)


def _tell_failure(exception: Exception, context: Any, **_: Any) -> None:
    if _NOTED in context:
        _tell("s3_failed", context, {"fault": type(exception).__name__})


def _tell(event: str, context: Any, facts: dict[str, Any]) -> None:
    began, asked = context[_NOTED]
    took = round((time.monotonic() - began) * 1000)
    log.debug(event, extra={**asked, **facts, "took_ms": took})
