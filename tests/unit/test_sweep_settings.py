"""What sweeps know of the settings."""

from datetime import timedelta

from shared.config import Settings
from shared.model.webhook import LEASE
from shared.wiring_parts import sweep_rules, upload_rules


def test_sweeps_look_where_clients_send_to_if_they_can_send_there_at_all() -> None:
    far = Settings(_env_file=None, storage_backend="s3", s3_staging_prefix="incoming/")
    near = Settings(_env_file=None, storage_backend="local", s3_staging_prefix="incoming/")

    assert upload_rules(far).staged_key("1") == "incoming/direct/1"
    assert sweep_rules(far).staging_prefix == "incoming/"
    assert sweep_rules(near).staging_prefix is None


def test_the_auditor_waits_for_the_longest_lease_of_a_job_or_a_delivery() -> None:
    short, long = (
        Settings(_env_file=None, lease_seconds=seconds, heartbeat_seconds=seconds / 3)
        for seconds in (30, 300)
    )

    assert sweep_rules(short).lease == LEASE
    assert sweep_rules(long).lease == timedelta(seconds=300)
