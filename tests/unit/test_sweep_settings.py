"""What sweeps know of the settings."""

from shared.config import Settings
from shared.wiring_parts import sweep_rules, upload_rules


def test_sweeps_look_where_clients_send_to_if_they_can_send_there_at_all() -> None:
    far = Settings(_env_file=None, storage_backend="s3", s3_staging_prefix="incoming/")
    near = Settings(_env_file=None, storage_backend="local", s3_staging_prefix="incoming/")

    assert upload_rules(far).staged_key("1") == "incoming/direct/1"
    assert sweep_rules(far).staging_prefix == "incoming/"
    assert sweep_rules(near).staging_prefix is None
