"""Settings: what each one means, and how the environment becomes a checked `Settings`."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from sidecar.addresses import database_url, host, is_loopback, origins, redis_url
from sidecar.core.errors import SidecarError
from sidecar.core.stalls import Limits
from sidecar.job_types import JobTypes
from sidecar.job_types import read as read_job_types
from sidecar.job_types import shipped as shipped_job_types
from sidecar.tokens import Token, check_secret, parse_list, read_file, united


class BadSettings(SidecarError):
    """Some settings are wrong; `problems` has a line for each, which names the variable and repeats no secret."""

    def __init__(self, *problems: str) -> None:
        """Keep the lines."""
        super().__init__("\n".join(problems))
        self.problems = problems


class Auth(StrEnum):
    """How a request shows who sends it."""

    NONE = "none"
    TOKENS = "tokens"


@dataclass(frozen=True, slots=True)
class Said:
    """What the documentation says of a setting where its type and default do not tell."""

    default: str = ""
    allowed: str = ""
    is_secret: bool = False


def _methods(given: str | frozenset[Auth]) -> str | frozenset[str]:
    return frozenset(part.strip() for part in given.split(",")) if isinstance(given, str) else given


def _tokens(given: str | tuple[Token, ...]) -> tuple[Token, ...]:
    return parse_list(given) if isinstance(given, str) else given


Host = Annotated[str, AfterValidator(host), Said(allowed="host name or IP address")]
Port = Annotated[int, Field(ge=0, le=65535)]
DatabaseUrl = Annotated[str, AfterValidator(database_url)]
RedisUrl = Annotated[str, AfterValidator(redis_url)]
Secret = Annotated[str, AfterValidator(check_secret)]


class Settings(BaseModel):
    """What an operator can choose. The variable of a field is `SIDECAR_` and its name in capitals.

    Made by `load` from the environment, or directly; contradictions raise `BadSettings` either way.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    listen_host: Host = Field(
        default="127.0.0.1", description="Where the sidecar listens. Without tokens it must be a loopback address."
    )
    listen_port: Port = Field(default=8650, description="Its port; 0 takes any free one.")
    data_dir: Annotated[Path, Said(allowed="path")] = Field(
        default=Path(".sidecar-data"),
        description="Directory of the embedded stores, made if missing; one sidecar has it to itself.",
    )
    redis_url: Annotated[
        RedisUrl | None, Said("an embedded Valkey", "`redis://`, `rediss://` or `unix://`", is_secret=True)
    ] = Field(
        default=None, repr=False, description="The Redis or Valkey to keep jobs in; several sidecars may share it."
    )
    database_url: Annotated[
        DatabaseUrl | None, Said("an embedded SQLite", "`postgresql://` or `sqlite:///PATH`", is_secret=True)
    ] = Field(
        default=None,
        repr=False,
        description="The database to keep the history in, and to fall back on while Redis is away. Sidecars that"
        " share a Redis must share it.",
    )
    database_read_url: Annotated[
        DatabaseUrl | None, Said("`SIDECAR_DATABASE_URL`", "`postgresql://` or `sqlite:///PATH`", is_secret=True)
    ] = Field(
        default=None,
        repr=False,
        description="A read replica of the database: timelines, lists of finished jobs and statistics are read"
        " from it while it answers. Nothing else is, as it is behind.",
    )
    auth: Annotated[
        frozenset[Auth],
        BeforeValidator(_methods),
        Said("`tokens` when there are any, else `none`", "`none`, `tokens`"),
    ] = Field(
        default=frozenset(),
        description="How a request shows who sends it; several are joined by commas."
        " `none` lets everybody do everything, and is accepted on a loopback address only.",
    )
    tokens: Annotated[
        tuple[Token, ...],
        BeforeValidator(_tokens),
        Said("none", "roles `worker`, `reader`, `operator`, `admin`; secrets of 16 characters or more", is_secret=True),
    ] = Field(
        default=(),
        repr=False,
        description="Tokens as `role:project,project:secret`, joined by `;`. `*` is every project."
        " Only digests of the secrets are kept.",
    )
    tokens_file: Annotated[Path | None, Said("none", "path")] = Field(
        default=None, description="File of tokens, one a line, `#` before a comment. Read again on SIGHUP."
    )
    metrics_token: Annotated[Secret | None, Said("none", "16 characters or more", is_secret=True)] = Field(
        default=None,
        repr=False,
        description="What a scraper sends to `/metrics` as its bearer token. Unset, any token opens it,"
        " and on the second listener none is needed.",
    )
    secret_key: Annotated[Secret | None, Said("a new one at each start", "16 characters or more", is_secret=True)] = (
        Field(
            default=None,
            repr=False,
            description="What signs tickets, sessions and links. Sidecars behind one address must share it.",
        )
    )
    cors_origins: Annotated[
        tuple[str, ...], BeforeValidator(origins), Said("none", "origins such as `https://app.example`")
    ] = Field(
        default=(),
        description="Origins, joined by commas, whose pages may ask the sidecar, watch jobs and frame an embed.",
    )
    ops_host: Host = Field(
        default="127.0.0.1",
        description="Where a second listener with only `/metrics`, `/healthz` and `/readyz` listens; it may be"
        " any address. Needs `SIDECAR_OPS_PORT`.",
    )
    ops_port: Annotated[Port | None, Said("no second listener", "0 to 65535")] = Field(
        default=None, description="The second listener's port; 0 takes any free one."
    )
    heartbeat_seconds: float = Field(default=15, gt=0, le=3600, description="A stream sends a heartbeat this often.")
    max_streams: int = Field(
        default=10_000, ge=1, description="Streams open at a time; one more is told `overloaded` and when to come back."
    )
    max_streams_per_token: Annotated[int | None, Said("no limit of its own", "1 or more")] = Field(
        default=None, ge=1, description="The same for streams that one token has opened."
    )
    max_streams_per_address: Annotated[int | None, Said("no limit of its own", "1 or more")] = Field(
        default=None,
        ge=1,
        description="The same for streams from one address; behind a proxy all have that of the proxy.",
    )
    stream_lifetime_seconds: float = Field(
        default=3600,
        gt=0,
        le=31_536_000,
        description="About how long a stream lives until its client has to come again, to whichever sidecar is there.",
    )
    drain_seconds: float = Field(
        default=10,
        ge=0,
        le=3600,
        description="On SIGTERM open streams are ended one after another within this time, while `/readyz` says 503.",
    )
    store_timeout_seconds: float = Field(
        default=1, gt=0, le=60, description="How long a call waits for Redis, or for SQL, before it has failed."
    )
    finished_ttl_seconds: float = Field(
        default=3600,
        gt=0,
        le=31_536_000,
        description="How long a finished job stays in Redis, once the history has it.",
    )
    history_days: float = Field(default=90, gt=0, le=36_500, description="How long the history keeps a finished job.")
    job_types_file: Annotated[Path | None, Said("none", "path of a TOML file")] = Field(
        default=None, description="File that declares the stages and limits of job types; seven are known without."
    )
    silent_seconds: float = Field(
        default=300,
        gt=0,
        le=31_536_000,
        description="How long a running job that declares no interval may say nothing before it counts as stalled.",
    )
    silent_floor_seconds: float = Field(
        default=60, gt=0, le=31_536_000, description="The least of that for one that does: three of its intervals."
    )
    no_progress_seconds: float = Field(
        default=600, gt=0, le=31_536_000, description="How long a running job may make no progress."
    )
    not_started_seconds: float = Field(
        default=180, gt=0, le=31_536_000, description="How long a job may be queued before somebody begins it."
    )
    cancel_stuck_seconds: float = Field(
        default=300, gt=0, le=31_536_000, description="How long a job may run on after it was asked to stop."
    )
    overdue_factor: float = Field(
        default=1.5,
        ge=1,
        le=1000,
        description="A job is overdue after this many times the 95th percentile of the last 50 successes of its type,"
        " once there are 10.",
    )
    watchdog_interval_seconds: float = Field(
        default=5, gt=0, le=3600, description="How often it is looked for stalled jobs; it takes two looks to say so."
    )
    lost_seconds: float = Field(
        default=86_400, gt=0, le=31_536_000, description="After how long a silence an unfinished job counts as lost."
    )
    abandoned_days: float = Field(
        default=30, gt=0, le=36_500, description="The same for one that is paused or blocked."
    )
    outbox_bytes: int = Field(
        default=268_435_456,
        ge=65_536,
        description="What may wait in Redis to be written to the history, with the finished jobs that cannot leave it"
        " while SQL is away. At four fifths progress samples are left out"
        " of the timelines; at all of it updates that end a job or write to its timeline are answered 503.",
    )
    job_series_limit: int = Field(
        default=500, ge=0, le=100_000, description="Unfinished jobs that `/metrics` tells of one by one, at most."
    )
    max_update_bytes: int = Field(
        default=65_536, ge=1024, le=16_777_216, description="Size of one update; a larger one is answered 413."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least severe lines that are logged."
    )
    log_format: Annotated[Literal["console", "json"] | None, Said("`console` on a terminal, else `json`")] = Field(
        default=None, description="Lines for people, or one JSON object a line."
    )

    @property
    def has_tokens(self) -> bool:
        """Whether tokens are given, here or in a file."""
        return bool(self.tokens) or self.tokens_file is not None

    @property
    def is_token_required(self) -> bool:
        """Whether a request needs a token."""
        return Auth.TOKENS in self.auth or (not self.auth and self.has_tokens)

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if problems := tuple(_contradictions(self)):
            raise BadSettings(*problems)
        return self


def tokens_in_force(settings: Settings) -> tuple[Token, ...]:
    """Return the valid tokens, with the file as it is now. Raises `BadSettings`; then the old ones should stay."""
    if settings.tokens_file is None:
        return settings.tokens
    try:
        tokens = united(settings.tokens, read_file(settings.tokens_file))
    except ValueError as error:
        raise BadSettings(f"SIDECAR_TOKENS_FILE: {error}") from None
    if not tokens:
        raise BadSettings("SIDECAR_TOKENS_FILE: holds no token, so nobody could come in")
    return tokens


def job_types_in(settings: Settings) -> JobTypes:
    """Return the job types, with the file as it is now. Raises `BadSettings`."""
    default = Limits(
        silent_seconds=settings.silent_seconds,
        silent_floor_seconds=settings.silent_floor_seconds,
        no_progress_seconds=settings.no_progress_seconds,
        not_started_seconds=settings.not_started_seconds,
        cancel_stuck_seconds=settings.cancel_stuck_seconds,
        overdue_factor=settings.overdue_factor,
    )
    try:
        declared = shipped_job_types() if settings.job_types_file is None else read_job_types(settings.job_types_file)
    except ValueError as error:
        raise BadSettings(f"SIDECAR_JOB_TYPES_FILE: {error}") from None
    return JobTypes(declared, default)


def _contradictions(settings: Settings) -> Iterator[str]:
    if Auth.NONE in settings.auth and (settings.has_tokens or len(settings.auth) > 1):
        yield "SIDECAR_AUTH: none contradicts tokens; take one of them away"
    elif Auth.TOKENS in settings.auth and not settings.has_tokens:
        yield "SIDECAR_AUTH: tokens needs SIDECAR_TOKENS or SIDECAR_TOKENS_FILE"
    if not settings.is_token_required and not is_loopback(settings.listen_host):
        yield (
            f"SIDECAR_LISTEN_HOST: {settings.listen_host!r} can be reached from other machines, and without tokens"
            " anyone there could do everything; set SIDECAR_TOKENS, or listen on 127.0.0.1, ::1 or localhost"
        )
    if settings.database_read_url is not None and settings.database_url is None:
        yield "SIDECAR_DATABASE_READ_URL: needs SIDECAR_DATABASE_URL, of which it is a replica"
    if settings.history_days * 86_400 < settings.finished_ttl_seconds:
        yield "SIDECAR_HISTORY_DAYS: must not be shorter than SIDECAR_FINISHED_TTL_SECONDS"
    if settings.ops_port is None and "ops_host" in settings.model_fields_set:
        yield "SIDECAR_OPS_HOST: needs SIDECAR_OPS_PORT"
    if settings.ops_port == settings.listen_port != 0 and settings.ops_host == settings.listen_host:
        yield "SIDECAR_OPS_PORT: must not be SIDECAR_LISTEN_PORT on the same host"
