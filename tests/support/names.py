"""Names and folders as anybody may send them, and what is left of them."""

from hypothesis import assume
from hypothesis import strategies as st

from shared.errors import Unprocessable
from shared.model.naming import MAX_FOLDER_BYTES, clean_filename, clean_folder

NAMES = st.one_of(
    st.text(max_size=300),
    st.text(alphabet="./\\ aä\u202e\x00~%", max_size=40),
    st.text(alphabet="ab.", min_size=100, max_size=250),
)


def cleaned(said: str) -> str:
    try:
        return clean_filename(said)
    except Unprocessable:
        assume(False)  # its signature
        raise


def folded(said: str | None) -> str | None:
    try:
        folder = clean_folder(said)
    except Unprocessable:
        assume(False)  # its signature
        raise
    assert folder is None or len(folder.encode()) <= MAX_FOLDER_BYTES
    return folder
