"""Who may do what: tokens into principals, principals into rights; and the defences of a sidecar without tokens."""

import hmac
import re
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache
from ipaddress import ip_address

from sidecar.core.errors import Forbidden
from sidecar.http.passes import NEVER, Kind, LinkedJob, Pass, Passes
from sidecar.http.problem import Unauthorized
from sidecar.tokens import EVERY_PROJECT, Role, Token, digest

HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]]+)(:\d*)?")


class Right(Enum):
    """What a request does."""

    PUSH = "push"
    READ = "read"
    CONTROL = "control"
    DELETE = "delete"
    LINK = "link"


RIGHTS = {
    Role.WORKER: frozenset({Right.PUSH, Right.READ}),
    Role.READER: frozenset({Right.READ}),
    Role.OPERATOR: frozenset({Right.READ, Right.CONTROL}),
    Role.ADMIN: frozenset(Right),
}


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever sends a request: a role, and the projects that it reaches (`*` is every one).

    `key` names the token without telling it ("" if none is needed); the right ends at `expires_at` (Unix seconds), and
    goes no further than one job if `job_id` names one.
    """

    role: Role
    projects: frozenset[str]
    key: str = ""
    expires_at: float = NEVER
    job_id: str | None = None

    def may(self, right: Right) -> Callable[[str], bool]:
        """Return a predicate on projects. Raises `Forbidden` if the role has no such right anywhere."""
        if right not in RIGHTS[self.role]:
            raise Forbidden(f"the token's role, {self.role}, does not allow this")
        return self._reaches

    def _reaches(self, project: str) -> bool:
        return EVERY_PROJECT in self.projects or project in self.projects


OTHER_JOB = "the link leads to another job"

ANYONE = Principal(Role.ADMIN, frozenset({EVERY_PROJECT}))
"""Whoever reaches a sidecar without tokens."""


class Gate:
    """The tokens now in force. With none required, anyone is an admin, but only by a loopback name."""

    def __init__(
        self,
        tokens: Iterable[Token],
        *,
        is_token_required: bool,
        metrics_token: str | None = None,
        passes: Passes | None = None,
        origins: Iterable[str] = (),
    ) -> None:
        """Keep the tokens, which can be replaced while serving; `origins` are those whose pages may ask."""
        self._passes = passes or Passes()
        self._is_token_required = is_token_required
        self._metrics_digest = None if metrics_token is None else digest(metrics_token)
        self.origins = frozenset(origins)
        self.replace(tokens)

    @property
    def is_token_required(self) -> bool:
        """Whether a request needs a token."""
        return self._is_token_required

    def replace(self, tokens: Iterable[Token]) -> None:
        """Take other tokens from now on."""
        self._principals = {token.digest: self._principal(token) for token in tokens}
        self._by_key = {principal.key: principal for principal in self._principals.values()}

    def is_valid(self, principal: Principal) -> bool:
        """Whether somebody who was let in before would still reach as many projects."""
        if not self._is_token_required:
            return True
        now = self._by_key.get(principal.key)
        return now is not None and (EVERY_PROJECT in now.projects or principal.projects <= now.projects)

    def principal(self, authorization: str | None, cookie: str | None = None) -> Principal:
        """Return who sends this Authorization header, or else the cookie of a session. Raises `Unauthorized`."""
        if not self._is_token_required:
            return ANYONE
        if authorization is None and cookie:
            return self._holder(self._passes.session(cookie))
        found = self._principals.get(digest(_secret(authorization)))
        if found is None:
            raise Unauthorized("the token is not known here")
        return found

    def watcher(self, ticket: str, path: str, *, is_back: bool) -> Principal:
        """Return who opens a stream with a ticket, for the first time or again. Raises `Unauthorized`."""
        if not self._is_token_required:
            return ANYONE
        return self._holder(self._passes.ticket(ticket, path, is_back=is_back))

    def guest(self, link: str, job_id: str | None) -> Principal:
        """Return who comes by a link, to one job or (None) to where it is not yet said which.

        Raises `Unauthorized`, or `Forbidden` for another job than the link's.
        """
        if not self._is_token_required:
            return ANYONE
        known = self._passes.linked(link)
        if known.job is None or job_id not in (None, known.job.job_id):
            raise Forbidden(OTHER_JOB)
        holder = self._holder(known)
        if not holder.may(Right.READ)(known.job.project):
            raise Unauthorized("the token of this link does not reach its job any more")
        return replace(holder, projects=frozenset({known.job.project}), job_id=known.job.job_id)

    def link(self, principal: Principal, job: LinkedJob, seconds: float) -> tuple[str, float]:
        """Return a link to a job from this client, and when it expires (Unix seconds)."""
        return self._passes.link(job, principal.key, seconds, principal.expires_at)

    def give_back(self, ticket: str | None) -> None:
        """Let a ticket, if there was one, be as it was: the stream that it was to open did not open."""
        if ticket is not None:
            self._passes.give_back(ticket)

    def ticket(self, principal: Principal) -> tuple[str, float]:
        """Return a ticket in the place of what this client has sent, and when it expires (Unix seconds)."""
        return self._passes.make(Kind.TICKET, principal.key, principal.expires_at)

    def session(self, secret: str) -> tuple[str, float]:
        """Return a session for whoever knows a token's secret, and when it expires. Raises `Unauthorized`."""
        found = self._principals.get(digest(secret.strip()))
        if found is None:
            raise Unauthorized("the token is not known here")
        return self._passes.make(Kind.SESSION, found.key)

    def _principal(self, token: Token) -> Principal:
        """Return who holds a token. How long a look-up by digest takes tells nothing about a secret, only its hash."""
        return Principal(token.role, frozenset(token.projects), self._passes.key(token.digest))

    def _holder(self, known: Pass) -> Principal:
        """Return who holds a pass: what it opens can only be read."""
        found = self._by_key.get(known.key)
        if found is None:
            raise Unauthorized(f"the token of this {known.kind} is not known here any more")
        return Principal(Role.READER, found.projects, found.key, known.expires_at)

    def check_scrape(self, authorization: str | None, *, is_open: bool) -> None:
        """Refuse a scrape without a right; on an open listener only a metrics token, if there is one, is asked for."""
        if self._metrics_digest is None and (is_open or not self._is_token_required):
            return
        given = digest(_secret(authorization))
        is_metrics_token = self._metrics_digest is not None and hmac.compare_digest(self._metrics_digest, given)
        if given not in self._principals and not is_metrics_token:
            raise Unauthorized("the token is not known here")


def check_host(host: str | None) -> None:
    """Refuse a Host header that is no loopback name: behind it may be a web page that rebound its own name to us."""
    match = HOST.fullmatch(host or "")
    if match is None or not _is_loopback(match[1].lower()):
        raise Forbidden("without tokens the sidecar answers to localhost, 127.0.0.1 or [::1] only")


def check_origin(origin: str | None, host: str | None, allowed: Container[str]) -> None:
    """Refuse what another site's page sends: a browser names the page's origin in every write and every WebSocket."""
    if origin is None or origin in allowed:
        return
    site = origin.partition("://")[2].lower()
    if not site or site != (host or "").lower():
        raise Forbidden("pages of another origin may not do this here")


def _secret(authorization: str | None) -> str:
    scheme, _, secret = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Unauthorized("a token is needed: Authorization: Bearer SECRET")
    return secret.strip()


@lru_cache(256)
def _is_loopback(name: str) -> bool:
    try:
        return name == "localhost" or ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False
