"""Any split of a file, sent in any order and with repeats, gives the same bytes."""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import ChunksMissing, OffsetMismatch
from shared.model.lifecycle import UploadState
from tests.support import servers
from tests.support.streams import append
from tests.support.workshop import ALICE, Bytes, Workshop, a_workshop

FEW = settings(max_examples=40)
CONTENTS = st.text(alphabet="abc \n", min_size=1, max_size=6000).map(
    lambda text: b"hello world " + text.encode()
)
CUTS = st.lists(st.integers(min_value=0, max_value=7000), max_size=6)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shop(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workshop]:
    with ExitStack() as stack:
        url = None
        if request.param == "postgresql":
            server = request.getfixturevalue("postgres_server")
            url = stack.enter_context(servers.postgresql_database(server))
        made = a_workshop(tmp_path_factory.mktemp("splitting"), database=url)
        yield made
        made.records.close()


@FEW
@given(content=CONTENTS, cuts=CUTS, data=st.data())
def test_numbered_chunks_of_any_sizes_become_the_file(
    shop: Workshop, content: bytes, cuts: list[int], data: st.DataObject
) -> None:
    runs = cut(content, cuts)
    numbers = list(range(len(runs)))
    order = data.draw(st.permutations(numbers)) + data.draw(
        st.lists(st.sampled_from(numbers), max_size=3)
    )
    upload = shop.opened()

    receipts = [shop.chunks.put(ALICE, upload.id, n, Bytes(runs[n]), None) for n in order]
    job = shop.uploads.complete(ALICE, upload.id, total_chunks=len(runs))

    assert shop.staged_bytes(upload.id) == content
    assert job.total == len(content)
    assert [receipt.repeated for receipt in receipts] == [
        number in order[:place] for place, number in enumerate(order)
    ]
    assert_counted(shop, upload.id, content)


@FEW
@given(content=CONTENTS, chunk_size=st.integers(min_value=500, max_value=7000), data=st.data())
def test_chunks_of_a_known_size_become_the_file(
    shop: Workshop, content: bytes, chunk_size: int, data: st.DataObject
) -> None:
    runs = [content[start : start + chunk_size] for start in range(0, len(content), chunk_size)]
    order = data.draw(st.permutations(range(len(runs))))
    upload = shop.opened(size=len(content), chunk_size=chunk_size)

    for place, number in enumerate(order):
        with pytest.raises(ChunksMissing) as refusal:
            shop.uploads.complete(ALICE, upload.id)
        assert refusal.value.facts["missing"] == sorted(order[place:])
        shop.chunks.put(ALICE, upload.id, number, Bytes(runs[number]), None)
    shop.uploads.complete(ALICE, upload.id)

    assert shop.staged_bytes(upload.id) == content
    assert_counted(shop, upload.id, content)


@FEW
@given(content=CONTENTS, cuts=CUTS, data=st.data())
def test_a_stream_that_is_cut_anywhere_and_goes_on_becomes_the_file(
    shop: Workshop, content: bytes, cuts: list[int], data: st.DataObject
) -> None:
    upload = shop.opened()
    at = 0
    for stop in [*sorted(place % len(content) for place in cuts), len(content)]:
        wrong = data.draw(st.integers(min_value=0, max_value=len(content)))
        if wrong != at:
            with pytest.raises(OffsetMismatch) as refusal:
                append(shop, ALICE, upload.id, wrong, Bytes(b"never"))
            assert refusal.value.facts == {"offset": at}
        body = Bytes(content[at:], cut=stop - at)
        at += append(shop, ALICE, upload.id, at, body).length
        assert at == stop
    shop.uploads.complete(ALICE, upload.id)

    assert shop.staged_bytes(upload.id) == content
    assert_counted(shop, upload.id, content)


def cut(content: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(content), *(place % len(content) for place in cuts)})
    return [content[start:stop] for start, stop in pairwise(places)]


def assert_counted(shop: Workshop, upload_id: str, content: bytes) -> None:
    """Rows, staging and quota agree on the bytes, once."""
    status = shop.uploads.status(ALICE, upload_id)
    upload = status.upload
    assert upload.state is UploadState.SEALED
    assert (upload.size, upload.received, upload.reserved) == (len(content),) * 3
    staged = {each.name for each in shop.staging.listing() if each.upload_id == upload_id}
    chunks = status.chunks or ()
    assert staged == {chunk.name for chunk in chunks}
    assert sum(chunk.length for chunk in chunks) == len(content)
