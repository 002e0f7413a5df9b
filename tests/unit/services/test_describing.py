"""What is told of an upload once it has ended."""

from pathlib import Path
from typing import Any

import pytest

from shared.adapters.objects_disk import DiskObjects
from shared.model.lifecycle import UploadState
from shared.services.describing import Describing
from tests.support.builders import a_chunk, an_upload

HALF = [a_chunk("u", 0), a_chunk("u", 2, length=2)]
WHOLE = [a_chunk("u", number, length=min(4, 10 - 4 * number)) for number in range(3)]


@pytest.fixture
def describing(tmp_path: Path) -> Describing:
    return Describing("http://sluice", DiskObjects(tmp_path, base_url="http://sluice", secret="s"))


@pytest.mark.parametrize(
    ("state", "chunks", "expected"),
    [
        (UploadState.RECEIVING, HALF, ([[0, 4], [8, 10]], 6, [1])),
        (UploadState.SEALED, WHOLE, ([[0, 10]], 10, [])),
        (UploadState.PROCESSING, WHOLE, ([[0, 10]], 10, [])),
        (UploadState.READY, [], ([[0, 10]], 10, [])),
        (UploadState.REJECTED, [], ([], 0, [])),
        (UploadState.CANCELLED, [], ([], 0, [])),
        (UploadState.EXPIRED, [], ([], 0, [])),
        (UploadState.EXPIRED, HALF, ([[0, 4], [8, 10]], 6, [])),
        (UploadState.FAILED, WHOLE, ([[0, 10]], 10, [])),
        (UploadState.FAILED, [], ([], 0, [])),
    ],
)
def test_what_has_ended_misses_nothing_and_has_what_is_kept(
    describing: Describing, state: UploadState, chunks: list[Any], expected: tuple[Any, ...]
) -> None:
    arrived = 6 if chunks == HALF else 10
    upload = an_upload(state=state, received=arrived)

    said = describing.upload(upload, chunks, None)

    assert (said["received"], said["received_bytes"], said["missing"]) == expected
