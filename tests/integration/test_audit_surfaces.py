"""The auditor as operators meet it: the command, and the figures at /metrics."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import pytest
from click.testing import CliRunner, Result
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from cli.audit import audit
from shared.adapters.objects_disk import DiskObjects
from shared.config import Settings, read_settings
from shared.errors import Unavailable
from shared.model.lifecycle import JobState
from shared.services.auditing import findings
from shared.services.auditing.findings import Kind
from shared.services.sweeps import SWEEPS
from shared.wiring import Services, build
from tests.support.builders import a_delivery, a_file, a_job, a_webhook, an_upload
from tests.support.grounds import HOUR
from web.app import create_app


@pytest.fixture
def services(environment: dict[str, str]) -> Iterator[Services]:
    chosen = read_settings(**{name.lower(): value for name, value in environment.items()})
    made = build(chosen)
    yield made
    made.records.close()


@pytest.fixture
def client(services: Services) -> FlaskClient:
    return create_app(services.settings, services).test_client()


def test_where_nothing_is_wrong_the_command_says_so(environment: dict[str, str]) -> None:
    result = run("--reread", environment=environment)

    assert result.exit_code == 0
    assert result.stdout.count("all is well") == 2


def test_what_is_wrong_is_told_and_is_an_exit_code(
    environment: dict[str, str], services: Services
) -> None:
    job = a_wrong_job(services)

    result = run(environment=environment)

    assert result.exit_code == 1
    assert "1  upload_missing" in result.stdout
    assert f"upload_missing  {job}: its upload" in result.stdout
    assert "1 wrong, 0 repaired" in result.stdout


def test_what_was_repaired_is_no_exit_code_but_in_a_dry_run(
    environment: dict[str, str], services: Services
) -> None:
    a_wrong_quota(services)

    dry, wet, after = (run(*how, environment=environment) for how in (["--dry-run"], [], []))

    assert [each.exit_code for each in (dry, wet, after)] == [1, 0, 0]
    assert "0 wrong, 1 repaired" in wet.stdout
    assert ", repaired\n" in wet.stdout
    assert "all is well" in after.stdout


def test_more_than_is_told_is_counted(
    environment: dict[str, str], services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(findings, "MOST_TOLD", 1)
    for _ in range(3):
        a_wrong_job(services)

    result = run(environment=environment)

    assert "… and 2 more" in result.stdout


def test_a_part_that_does_not_answer_is_told(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **said: object) -> None:
        del said
        raise Unavailable("objects", "The object store does not answer.")

    monkeypatch.setattr(DiskObjects, "listing", refuse)
    result = run(environment=environment)

    assert result.exit_code == 1
    assert "The object store does not answer." in result.stderr


def test_what_could_not_be_read_is_told_and_is_an_exit_code(
    environment: dict[str, str], services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **said: object) -> None:
        del said
        raise Unavailable("objects", "The object store does not answer.")

    with services.records.begin() as rows:
        rows.files.add(a_file(), None)
    monkeypatch.setattr(DiskObjects, "find", refuse)
    result = run("--reread", environment=environment)

    assert result.exit_code == 1
    assert "It could not read 1 files or chunks" in result.stderr
    assert "all is well" not in result.stdout


def test_a_repair_that_failed_is_told(
    environment: dict[str, str], services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise Unavailable("records", "The database does not answer.")

    a_wrong_quota(services)
    monkeypatch.setattr("shared.services.auditing.rooms._recount", refuse)
    result = run(environment=environment)

    assert result.exit_code == 1
    assert "It failed at 1 repairs" in result.stderr


@pytest.mark.parametrize(
    ("how", "said"),
    [((), "the next run goes on"), (("--dry-run",), "a dry run begins anew each time")],
)
def test_a_look_that_was_capped_is_told_and_is_an_exit_code(
    environment: dict[str, str],
    services: Services,
    how: Sequence[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def build_hurried(chosen: Settings) -> Services:
        built = build(chosen)
        sweeper = built.sweeps.sweeper
        hurried = replace(sweeper, rules=replace(sweeper.rules, looks=0))
        return replace(built, sweeps=replace(built.sweeps, sweeper=hurried))

    services.objects.put("theirs", b"x", content_type="text/plain", upload_id="another-service")
    monkeypatch.setattr("cli.audit.build", build_hurried)
    result = run(*how, environment=environment)

    assert result.exit_code == 1
    assert said in result.stderr
    assert "nothing wrong in what was looked at" in result.stdout


def test_what_runs_already_is_told(environment: dict[str, str], services: Services) -> None:
    with services.records.begin() as rows:
        assert rows.leases.take("sweep:audit", "another", HOUR)

    result = run(environment=environment)

    assert (result.exit_code, result.stderr) == (1, "audit: running elsewhere\n")


# Figures.


def test_before_anything_has_run_the_figures_are_nothing(client: FlaskClient) -> None:
    answer = client.get("/metrics")

    figures = parsed(answer.get_data(as_text=True))
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert figures == {
        **{f'sluice_jobs{{state="{state}"}}': 0 for state in JobState},
        **{f'sluice_audit_findings{{kind="{kind}"}}': 0 for kind in Kind},
        "sluice_oldest_queued_job_age_seconds": 0,
        "sluice_deliveries_due": 0,
        "sluice_audit_unrepaired": 0,
        "sluice_audit_last_run_timestamp_seconds": 0,
        "sluice_reread_last_run_timestamp_seconds": 0,
        "sluice_reread_files_total": 0,
        "sluice_reread_damaged_total": 0,
    }


def test_the_figures_say_what_waits(client: FlaskClient, services: Services) -> None:
    webhook = a_webhook()
    with services.records.begin() as rows:
        for state in (JobState.QUEUED, JobState.QUEUED, JobState.FAILED):
            rows.jobs.add(a_job(state=state))
        rows.webhooks.add(webhook)
        rows.webhooks.owe([a_delivery(webhook.id)])

    figures = parsed(client.get("/metrics").get_data(as_text=True))

    assert figures['sluice_jobs{state="queued"}'] == 2
    assert figures['sluice_jobs{state="failed"}'] == 1
    assert figures["sluice_oldest_queued_job_age_seconds"] >= 0
    assert figures["sluice_deliveries_due"] == 1


def test_the_figures_say_what_the_sweeps_and_the_auditor_left(
    client: FlaskClient, services: Services
) -> None:
    job = a_wrong_job(services)
    a_wrong_quota(services)
    for sweep in SWEEPS:
        services.sweeps.run(sweep.name)

    page = client.get("/metrics").get_data(as_text=True)

    figures = parsed(page)
    assert figures['sluice_audit_findings{kind="upload_missing"}'] == 1
    assert figures['sluice_audit_findings{kind="quota_wrong"}'] == 1
    assert figures["sluice_audit_unrepaired"] == 1
    assert figures["sluice_audit_last_run_timestamp_seconds"] > 0
    assert all(
        figures[f'sluice_sweep_last_run_age_seconds{{sweep="{sweep.name}"}}'] >= 0
        for sweep in SWEEPS
    )
    assert figures['sluice_sweep_last_run_failed{sweep="audit"}'] == 0
    assert job not in page
    assert "someone" not in page


def test_the_figures_are_counted_once_in_a_while(client: FlaskClient, services: Services) -> None:
    before = client.get("/metrics").get_data()
    a_wrong_job(services)

    assert client.get("/metrics").get_data() == before


def test_without_a_database_there_are_no_figures(environment: dict[str, str]) -> None:
    said = environment | {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    chosen = read_settings(**{name.lower(): value for name, value in said.items()})
    services = build(chosen)

    answer = create_app(chosen, services).test_client().get("/metrics")

    services.records.close()
    assert (answer.status_code, answer.get_json()["type"]) == (503, "records_unavailable")


def run(*arguments: str, environment: dict[str, str]) -> Result:
    return CliRunner().invoke(audit, arguments, env=environment, catch_exceptions=False)


def a_wrong_job(services: Services) -> str:
    with services.records.begin() as rows:
        return rows.jobs.add(a_job(tenant="someone", state=JobState.FAILED)).id


def a_wrong_quota(services: Services) -> None:
    with services.records.begin() as rows:
        rows.uploads.add(an_upload(tenant="someone", size=None, reserved=0), HOUR)
        assert rows.quotas.reserve("someone", 10)


def parsed(page: str) -> Mapping[str, float]:
    found = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sample.labels.items())
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found
