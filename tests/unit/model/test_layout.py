"""Keys: each way of naming makes those its document shows, plain and bounded whatever it is fed."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import PurePosixPath

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from uuid_utils.compat import uuid7

from shared.model.layout import Layout, Named, layout_of
from shared.model.naming import MAX_NAME_BYTES, clean_filename
from tests.support.names import NAMES, cleaned, folded

NOW = datetime(2025, 1, 15, 14, 30, 22, tzinfo=UTC)
ID = "0193c0de-0000-7000-8000-00000abc1def"
NAMED = Named(ID, "document.pdf", None, "default", "alice", None, NOW)
DATED = "{year}/{month}/{day}"
BY_ID = Layout("{folder}/{id}_{name}")
MAX_KEY_BYTES = 1024  # S3's


@pytest.mark.parametrize(
    ("structure", "uuid_prefix", "preserve", "key"),
    [
        (DATED, True, True, f"2025/01/15/{ID}_document.pdf"),
        (DATED, True, False, f"2025/01/15/{ID}.pdf"),
        (DATED, False, True, "2025/01/15/20250115_143022_document.pdf"),
        (DATED, False, False, "2025/01/15/20250115_143022.pdf"),
        ("", False, True, "document.pdf"),
        ("", True, True, f"{ID}_document.pdf"),
        ("uploads/{year}-{month}", True, True, f"uploads/2025-01/{ID}_document.pdf"),
        ("/documents/user-uploads/", True, True, f"documents/user-uploads/{ID}_document.pdf"),
        ("{year}/{hour}", True, True, f"2025/14/{ID}_document.pdf"),
    ],
)
def test_the_settings_make_the_keys_they_promise(
    structure: str, uuid_prefix: bool, preserve: bool, key: str
) -> None:
    made = layout_of(structure=structure, uuid_prefix=uuid_prefix, preserve_filename=preserve)

    assert made.key(NAMED) == key


@pytest.mark.parametrize(
    ("template", "key"),
    [
        (
            "{tenant}/assets/chat/1/{date}_{uuid8}_{name}",
            "42/assets/chat/1/20250115_0abc1def_document.pdf",
        ),
        ("{tenant}/assets/chat/1/{name}", "42/assets/chat/1/document.pdf"),
        ("uploads/{owner}/{timestamp}_{name}", "uploads/7/20250115_143022_document.pdf"),
        ("uploads/{year}/{month}/{day}/{id}-{name}", f"uploads/2025/01/15/{ID}-document.pdf"),
        ("{owner}/{reference}/{name}", "42/7/123/document.pdf"),
    ],
)
def test_a_template_is_filled_in_from_the_upload(template: str, key: str) -> None:
    named = replace(NAMED, tenant="42", owner="7", reference="123")

    assert Layout(template).key(named) == key


def test_a_folder_of_the_client_stands_for_the_structure() -> None:
    assert BY_ID.key(replace(NAMED, folder="users/7")) == f"users/7/{ID}_document.pdf"


def test_bare_names_of_the_default_tenant_stand_where_they_always_stood() -> None:
    bare = Layout("{owner}/{name}")

    assert bare.key(NAMED) == "alice/document.pdf"
    assert bare.key(replace(NAMED, tenant="acme")) == "acme/alice/document.pdf"


def test_a_suffix_stands_before_the_extension() -> None:
    dated = Layout("{timestamp}_{name}")

    assert dated.key(NAMED, suffix="_x1") == "20250115_143022_document_x1.pdf"
    assert dated.key(replace(NAMED, filename=".env"), suffix="_x1") == "20250115_143022_.env_x1"


@pytest.mark.parametrize(("one", "other"), [("a/b", "a_b"), ("a.b", "a_b"), ("a" * 121, "a" * 122)])
def test_no_two_owners_share_a_place(one: str, other: str) -> None:
    layout = Layout("{owner}/{name}")

    assert layout.key(replace(NAMED, owner=one)) != layout.key(replace(NAMED, owner=other))


@pytest.mark.parametrize(
    ("template", "unique", "bare"),
    [
        ("{id}_{name}", True, False),
        ("{uuid8}_{name}", False, False),
        ("{owner}/{name}", False, True),
    ],
)
def test_a_layout_knows_whether_its_keys_may_be_taken(
    template: str, unique: bool, bare: bool
) -> None:
    layout = Layout(template)

    assert (layout.is_unique, layout.is_bare) == (unique, bare)


@pytest.mark.parametrize("structure", ["{minute}", "{id}", "{}", "{year", "{0}", "{year.real}"])
def test_a_structure_with_what_nobody_fills_in_is_refused(structure: str) -> None:
    with pytest.raises(ValueError, match=r"placeholder|expected"):
        layout_of(structure=structure, uuid_prefix=True, preserve_filename=True)


@given(NAMES, st.one_of(st.none(), NAMES, st.text(alphabet="a./", max_size=600)))
def test_a_key_is_plain_bounded_and_of_its_upload_alone(said: str, folder: str | None) -> None:
    upload_id = str(uuid7())
    named = replace(NAMED, upload_id=upload_id, filename=cleaned(said), folder=folded(folder))

    key = BY_ID.key(named)

    parts = key.split("/")
    assert key.isascii()
    assert key.isprintable()
    assert ".." not in key
    assert not {"", ".", ".."} & set(parts)
    assert not set(key) & set("\\ ?#%&+")
    assert len(key.encode()) <= MAX_KEY_BYTES
    assert parts[-1].startswith(f"{upload_id}_")
    assert BY_ID.key(replace(named, upload_id=str(uuid7()))) != key
    assert parts[:-1] == ["2025", "01", "15"] if named.folder is None else len(parts) > 1


@given(NAMES, NAMES, NAMES)
def test_what_callers_are_called_makes_no_path(name: str, owner: str, reference: str) -> None:
    assume(owner)
    named = replace(NAMED, filename=cleaned(name), owner=owner, reference=reference)

    parts = Layout("{owner}/{reference}/{name}").key(named).split("/")

    assert len(parts) == 3
    assert not {"", ".", ".."} & set(parts)


@pytest.mark.parametrize("filename", ["uploads", "7", "document.pdf", ".env", "a" * 200, "été"])
@pytest.mark.parametrize(
    "template",
    ["{name}", "{folder}/{name}", "{owner}/{reference}/{plain}", "{tenant}/assets/{name}"],
)
def test_a_bare_name_is_never_a_folder_of_other_keys(template: str, filename: str) -> None:
    bare = Layout(template).key(replace(NAMED, filename=filename, folder="123", reference="7"))

    for layout in (BY_ID, Layout("{folder}/{name}"), Layout("uploads/{owner}/{timestamp}_{name}")):
        for folder in (bare, f"{bare}/x", f"{filename}/x", "uploads/7"):
            named = replace(NAMED, owner="7", folder=folded(folder))
            above = PurePosixPath(layout.key(named)).parents
            assert PurePosixPath(bare) not in above


def test_a_tree_that_is_brought_in_keeps_its_names() -> None:
    mirror = Layout("{folder}/{name}", structure="", mirrors=True)

    assert mirror.key(replace(NAMED, folder="v1.2/src", filename="README")) == "v1.2/src/README"


@given(st.text(alphabet="ab.ä", min_size=1, max_size=250))
def test_a_key_keeps_a_short_extension(stem: str) -> None:
    assume(len(f"{stem}.tar".encode()) <= MAX_NAME_BYTES)

    key = BY_ID.key(replace(NAMED, upload_id="id", filename=clean_filename(f"{stem}.tar")))

    assert key.endswith(".tar")
    assert len(key.rpartition("/")[2]) <= len("id_") + 120
