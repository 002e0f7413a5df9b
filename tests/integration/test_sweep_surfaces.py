"""Sweeps as operators meet them: the command, and the page of results."""

import json
from collections.abc import Iterator
from datetime import timedelta

import jwt
import pytest
from click.testing import CliRunner, Result
from flask.testing import FlaskClient

from cli.sweep import sweep
from shared.adapters.clock_system import SystemClock
from shared.adapters.records_sql import SqlRecords
from shared.config import read_settings
from shared.model.naming import high_water
from shared.services.sweeps import SWEEPS
from shared.wiring import build
from tests.integration.conftest import SECRET
from web.app import create_app

MARK = high_water(".staging/")
NAMES = [each.name for each in SWEEPS]


@pytest.fixture
def client(environment: dict[str, str]) -> Iterator[FlaskClient]:
    chosen = read_settings(**{name.lower(): value for name, value in environment.items()})
    services = build(chosen)
    yield create_app(chosen, services).test_client()
    services.records.close()


def test_without_a_name_the_sweeps_are_listed() -> None:
    assert run().output.split() == NAMES


def test_an_unknown_name_is_one_line_and_exit_code_2() -> None:
    result = run("dust")

    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "dust" in result.stderr
    assert all(name in result.stderr for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_sweep_prints_its_result_as_one_line_of_json(
    environment: dict[str, str], name: str
) -> None:
    result = run(name, environment=environment)

    said = json.loads(result.stdout)
    assert result.exit_code == 0
    assert result.stdout.count("\n") == 1
    assert (said["removed"], said["failed"], said["dry_run"]) == (0, 0, False)


def test_a_dry_run_is_not_kept(environment: dict[str, str]) -> None:
    result = run("multiparts", "--dry-run", environment=environment)

    records = SqlRecords(environment["DATABASE_URL"])
    with records.read() as rows:
        kept = [each["name"] for each in rows.leases.results()]
    records.close()
    assert json.loads(result.stdout)["dry_run"] is True
    assert "sweep:multiparts" not in kept


def test_a_claim_that_is_not_there_is_one_line_and_exit_code_1(
    environment: dict[str, str],
) -> None:
    result = run("replacements", "--settle", "upload", environment=environment)

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "There is no such claim.\n"


def test_a_database_that_is_older_is_settled_by_a_command(environment: dict[str, str]) -> None:
    chosen = read_settings(**{name.lower(): value for name, value in environment.items()})
    services = build(chosen)
    services.objects.put(MARK, b"another 7\n", content_type="a/b", upload_id="sluice")
    services.records.close()

    before = run("high-water", environment=environment)
    settled = run("high-water", "--settle", environment=environment)
    after = run("high-water", environment=environment)
    again = run("high-water", "--settle", environment=environment)

    assert ("alarm" in json.loads(before.stdout), "alarm" in json.loads(after.stdout)) == (
        True,
        False,
    )
    assert (settled.exit_code, settled.stdout.count("\n")) == (0, 1)
    assert (again.exit_code, again.stderr) == (1, "The database is not older than the bucket.\n")


@pytest.mark.parametrize(
    "said",
    [
        ("--settle", "x"),
        ("audit", "--settle", "x"),
        ("replacements", "--dry-run", "--settle", "x"),
        ("replacements", "--settle"),
        ("high-water", "--settle", "x"),
        ("high-water", "--dry-run", "--settle"),
    ],
)
def test_only_claims_and_older_databases_are_settled(said: tuple[str, ...]) -> None:
    result = run(*said)

    assert (result.exit_code, result.stdout) == (2, "")
    assert "--settle goes with" in result.stderr


def test_an_admin_reads_what_each_sweep_last_did(
    client: FlaskClient, environment: dict[str, str]
) -> None:
    run("staging-orphans", environment=environment)

    answer = client.get("/api/v1/admin/sweeps", headers=a_token("admin"))

    items = {item["name"]: item for item in answer.get_json()["items"]}
    assert answer.status_code == 200
    assert answer.get_json()["next_cursor"] is None
    assert list(items) == NAMES
    assert items["staging-orphans"]["interval_seconds"] == 600
    assert items["staging-orphans"]["started_at"].endswith("Z")
    assert items["staging-orphans"]["result"]["removed"] == 0
    assert items["multiparts"]["result"] is None
    assert items["multiparts"]["finished_at"] is None


def test_nobody_else_reads_it(client: FlaskClient) -> None:
    plain = client.get("/api/v1/admin/sweeps", headers=a_token("files:read files:write"))
    nobody = client.get("/api/v1/admin/sweeps")

    assert (plain.status_code, nobody.status_code) == (403, 401)


def run(*arguments: str, environment: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(sweep, arguments, env=environment, catch_exceptions=False)


def a_token(scope: str) -> dict[str, str]:
    expires = SystemClock().now() + timedelta(hours=1)
    token = jwt.encode({"sub": "root", "exp": expires, "scope": scope}, SECRET, algorithm="HS256")
    return {"Authorization": f"Bearer {token}"}
