import subprocess
import sys
from pathlib import Path

import pytest

from sidecar.environment import VARIABLES, load
from sidecar.settings import BadSettings, Settings, tokens_in_force
from sidecar.tokens import Role, digest

ROOT = Path(__file__).parent.parent
SECRET = "0123456789abcdef"
TOKENS = {"SIDECAR_TOKENS": f"admin:*:{SECRET}"}


def problems(environ: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(BadSettings) as raised:
        load(environ)
    return raised.value.problems


def test_empty_environment_listens_on_loopback_without_tokens() -> None:
    settings = load({})
    assert settings == Settings()
    assert (settings.listen_host, settings.listen_port) == ("127.0.0.1", 8650)
    assert not settings.is_token_required


def test_every_variable_sets_its_field(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("reader:*:fedcba9876543210")
    types = tmp_path / "job_types.toml"
    types.write_text("[job_types.crawl]")
    environ = {
        **TOKENS,
        "SIDECAR_LISTEN_HOST": "0.0.0.0",  # noqa: S104 - tokens are on
        "SIDECAR_LISTEN_PORT": "0",
        "SIDECAR_DATA_DIR": "elsewhere",
        "SIDECAR_REDIS_URL": "rediss://user:pw@redis.example:6380/2",
        "SIDECAR_AUTH": "tokens",
        "SIDECAR_TOKENS_FILE": str(file),
        "SIDECAR_JOB_TYPES_FILE": str(types),
        "SIDECAR_SILENT_SECONDS": "100",
        "SIDECAR_SILENT_FLOOR_SECONDS": "10",
        "SIDECAR_NO_PROGRESS_SECONDS": "200",
        "SIDECAR_NOT_STARTED_SECONDS": "20",
        "SIDECAR_CANCEL_STUCK_SECONDS": "30",
        "SIDECAR_OVERDUE_FACTOR": "3",
        "SIDECAR_WATCHDOG_INTERVAL_SECONDS": "1",
        "SIDECAR_METRICS_TOKEN": "scrape-scrape-scrape",
        "SIDECAR_SECRET_KEY": "sign-sign-sign-sign",
        "SIDECAR_CORS_ORIGINS": "https://app.example, http://localhost:3000",
        "SIDECAR_OPS_HOST": "::",
        "SIDECAR_OPS_PORT": "9100",
        "SIDECAR_HEARTBEAT_SECONDS": "0.5",
        "SIDECAR_MAX_STREAMS": "7",
        "SIDECAR_MAX_STREAMS_PER_TOKEN": "5",
        "SIDECAR_MAX_STREAMS_PER_ADDRESS": "6",
        "SIDECAR_STREAM_LIFETIME_SECONDS": "60",
        "SIDECAR_DRAIN_SECONDS": "0",
        "SIDECAR_STORE_TIMEOUT_SECONDS": "2.5",
        "SIDECAR_DATABASE_URL": "postgresql://user:pw@postgres.example/progress?sslmode=require",
        "SIDECAR_DATABASE_READ_URL": "postgresql://user:pw@replica.example/progress",
        "SIDECAR_FINISHED_TTL_SECONDS": "60",
        "SIDECAR_HISTORY_DAYS": "7",
        "SIDECAR_LOST_SECONDS": "600",
        "SIDECAR_ABANDONED_DAYS": "2",
        "SIDECAR_OUTBOX_BYTES": "1000000",
        "SIDECAR_JOB_SERIES_LIMIT": "10",
        "SIDECAR_MAX_UPDATE_BYTES": "2048",
        "SIDECAR_LOG_LEVEL": "debug",
        "SIDECAR_LOG_FORMAT": "json",
    }
    settings = load(environ)
    untouched = [name for name, field in VARIABLES.items() if getattr(settings, field) == getattr(Settings(), field)]
    assert environ.keys() == VARIABLES.keys()
    assert untouched == []


def test_empty_variable_counts_as_unset() -> None:
    assert load({"SIDECAR_LISTEN_PORT": "", "SIDECAR_TOKENS": "", "SIDECAR_NO_SUCH": ""}) == Settings()


def test_other_programs_variables_are_none_of_ours() -> None:
    assert load({"PATH": "bin", "SIDECARS": "2"}) == Settings()


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("SIDECAR_LISTEN_HOST", "127.0.0.1:80"),
        ("SIDECAR_LISTEN_HOST", "[::1]"),
        ("SIDECAR_LISTEN_PORT", "65536"),
        ("SIDECAR_LISTEN_PORT", "http"),
        ("SIDECAR_REDIS_URL", "http://redis"),
        ("SIDECAR_REDIS_URL", "redis://"),
        ("SIDECAR_REDIS_URL", "redis://redis:none"),
        ("SIDECAR_REDIS_URL", "unix://"),
        ("SIDECAR_DATABASE_URL", "mysql://root@db/progress"),
        ("SIDECAR_DATABASE_URL", "postgresql://postgres.example"),
        ("SIDECAR_DATABASE_URL", "postgresql:///progress"),
        ("SIDECAR_DATABASE_URL", "sqlite://"),
        ("SIDECAR_DATABASE_URL", "sqlite://history.db"),
        ("SIDECAR_FINISHED_TTL_SECONDS", "0"),
        ("SIDECAR_FINISHED_TTL_SECONDS", "inf"),
        ("SIDECAR_HISTORY_DAYS", "-1"),
        ("SIDECAR_LOST_SECONDS", "inf"),
        ("SIDECAR_ABANDONED_DAYS", "0"),
        ("SIDECAR_OUTBOX_BYTES", "1"),
        ("SIDECAR_AUTH", "jwt"),
        ("SIDECAR_TOKENS", "admin:*:short"),
        ("SIDECAR_METRICS_TOKEN", "short"),
        ("SIDECAR_OPS_PORT", "-1"),
        ("SIDECAR_HEARTBEAT_SECONDS", "0"),
        ("SIDECAR_HEARTBEAT_SECONDS", "nan"),
        ("SIDECAR_MAX_STREAMS", "0"),
        ("SIDECAR_MAX_STREAMS", "1.5"),
        ("SIDECAR_DRAIN_SECONDS", "-1"),
        ("SIDECAR_STORE_TIMEOUT_SECONDS", "inf"),
        ("SIDECAR_MAX_UPDATE_BYTES", "1"),
        ("SIDECAR_LOG_LEVEL", "loud"),
        ("SIDECAR_LOG_FORMAT", "xml"),
    ],
)
def test_bad_value_is_one_line_that_names_its_variable(variable: str, text: str) -> None:
    (problem,) = problems({variable: text})
    assert problem.startswith(f"{variable}: ")
    assert "\n" not in problem


def test_every_bad_setting_is_named_at_once() -> None:
    named = problems({"SIDECAR_LISTEN_PORT": "x", "SIDECAR_LOG_LEVEL": "x", "SIDECAR_XYZZY": "x"})
    assert [line.partition(":")[0] for line in named] == [
        "SIDECAR_XYZZY",
        "SIDECAR_LISTEN_PORT",
        "SIDECAR_LOG_LEVEL",
    ]


def test_problem_tells_the_value_unless_it_may_be_a_secret() -> None:
    assert "(it is 'loud')" in problems({"SIDECAR_LOG_LEVEL": "loud"})[0]
    assert "pw" not in problems({"SIDECAR_REDIS_URL": "rdis://:pw@redis"})[0]
    assert "short" not in problems({"SIDECAR_METRICS_TOKEN": "short"})[0]


def test_secrets_are_not_in_the_settings_text() -> None:
    settings = load({**TOKENS, "SIDECAR_REDIS_URL": "redis://:pw@redis", "SIDECAR_METRICS_TOKEN": SECRET * 2})
    assert "pw" not in repr(settings)
    assert SECRET not in repr(settings)


def test_typo_is_refused_with_the_nearest_name() -> None:
    assert problems({"SIDECAR_LISTEN_PROT": "80"}) == (
        "SIDECAR_LISTEN_PROT: is no setting; did you mean SIDECAR_LISTEN_PORT?",
    )
    assert problems({"SIDECAR_XYZZY": "80"}) == ("SIDECAR_XYZZY: is no setting",)


def test_what_kubernetes_sets_for_a_service_called_sidecar_is_no_typo() -> None:
    injected = {
        "SIDECAR_PORT": "tcp://10.0.0.7:8650",
        "SIDECAR_PORT_8650_TCP": "tcp://10.0.0.7:8650",
        "SIDECAR_PORT_8650_TCP_ADDR": "10.0.0.7",
        "SIDECAR_SERVICE_HOST": "10.0.0.7",
        "SIDECAR_SERVICE_PORT": "8650",
        "SIDECAR_SERVICE_PORT_HTTP": "8650",
    }
    assert load(injected) == Settings()


def test_port_that_a_person_set_is_a_typo() -> None:
    assert problems({"SIDECAR_PORT": "80"}) == ("SIDECAR_PORT: is no setting; did you mean SIDECAR_LISTEN_PORT?",)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_needs_no_tokens(host: str) -> None:
    assert not load({"SIDECAR_LISTEN_HOST": host, "SIDECAR_AUTH": "none"}).is_token_required


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "sidecar.example"])  # noqa: S104 - it is refused
def test_beyond_loopback_tokens_are_needed(host: str) -> None:
    (problem,) = problems({"SIDECAR_LISTEN_HOST": host})
    assert problem.startswith(f"SIDECAR_LISTEN_HOST: '{host}' can be reached from other machines")
    assert load({"SIDECAR_LISTEN_HOST": host, **TOKENS}).is_token_required


def test_tokens_switch_themselves_on() -> None:
    assert load(TOKENS).is_token_required


def test_no_authentication_contradicts_tokens() -> None:
    assert problems({"SIDECAR_AUTH": "none", **TOKENS}) == (
        "SIDECAR_AUTH: none contradicts tokens; take one of them away",
    )
    assert problems({"SIDECAR_AUTH": "none, tokens"})[0].startswith("SIDECAR_AUTH: none contradicts tokens")


def test_authentication_by_tokens_needs_some() -> None:
    assert problems({"SIDECAR_AUTH": "tokens"}) == ("SIDECAR_AUTH: tokens needs SIDECAR_TOKENS or SIDECAR_TOKENS_FILE",)


def test_tokens_of_variable_and_file_are_in_force_and_the_file_is_read_each_time(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text("reader:*:fedcba9876543210\n")
    settings = load({**TOKENS, "SIDECAR_TOKENS_FILE": str(path)})
    assert [token.role for token in tokens_in_force(settings)] == [Role.ADMIN, Role.READER]
    path.write_text("worker:*:a-newer-secret-for-all\n")
    assert tokens_in_force(settings)[1].digest == digest("a-newer-secret-for-all")


def test_bad_tokens_file_is_a_bad_setting(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    assert "cannot be read" in problems({"SIDECAR_TOKENS_FILE": str(path)})[0]
    path.write_text("reader:*:short\n")
    assert problems({"SIDECAR_TOKENS_FILE": str(path)}) == (
        "SIDECAR_TOKENS_FILE: line 1: a secret needs at least 16 characters",
    )
    path.write_text("# nobody yet\n")
    assert problems({"SIDECAR_TOKENS_FILE": str(path)}) == (
        "SIDECAR_TOKENS_FILE: holds no token, so nobody could come in",
    )


def test_second_listener_is_off_without_a_port_and_on_loopback_with_one() -> None:
    assert load({}).ops_port is None
    assert load({"SIDECAR_OPS_PORT": "9100"}).ops_host == "127.0.0.1"
    assert problems({"SIDECAR_OPS_HOST": "::"}) == ("SIDECAR_OPS_HOST: needs SIDECAR_OPS_PORT",)


def test_replica_is_one_of_a_database_that_is_named() -> None:
    assert problems({"SIDECAR_DATABASE_READ_URL": "postgresql://replica.example/progress"}) == (
        "SIDECAR_DATABASE_READ_URL: needs SIDECAR_DATABASE_URL, of which it is a replica",
    )


def test_two_listeners_cannot_share_a_port() -> None:
    assert problems({"SIDECAR_OPS_PORT": "8650"}) == (
        "SIDECAR_OPS_PORT: must not be SIDECAR_LISTEN_PORT on the same host",
    )
    assert load({"SIDECAR_OPS_PORT": "0", "SIDECAR_LISTEN_PORT": "0"}).ops_port == 0


def test_settings_page_is_fresh() -> None:
    check = [sys.executable, "tools/settings_page.py", "--check"]
    assert subprocess.run(check, cwd=ROOT, check=False).returncode == 0, "run `make docs`"  # noqa: S603 - our own tool


def test_settings_page_tells_every_setting() -> None:
    page = (ROOT / "docs" / "settings.md").read_text("utf-8")
    assert [name for name in VARIABLES if f"| `{name}` |" not in page] == []
