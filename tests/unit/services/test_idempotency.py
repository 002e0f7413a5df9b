"""What makes two requests the same one."""

from shared.model.upload import NewUpload, Transfer
from shared.services.idempotency import fingerprint_of


def test_a_request_keeps_its_fingerprint_over_upgrades() -> None:
    """It is written down with each key: one that changes refuses the repeats of the day before."""
    before = "d987a3d5fba7a5deb2ddb826c1996f111c738e4e89e0aeac8a82a32077f423b8"

    assert fingerprint_of(NewUpload("notes.txt", size=10)) == before


def test_what_is_said_of_later_fields_counts() -> None:
    requests = [
        NewUpload("notes.txt"),
        NewUpload("notes.txt", transfer=Transfer.DIRECT),
        NewUpload("notes.txt", replace=True),
        NewUpload("notes.txt", restarts=True),
        NewUpload("notes.txt", open_for=60),
    ]

    assert len({fingerprint_of(each) for each in requests}) == len(requests)
