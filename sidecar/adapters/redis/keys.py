"""Every Redis key and channel, built in one place.

The braces are the hash tag: all keys of a project live in one slot of a cluster, and a script touches one project.
"""

from dataclasses import dataclass

PROJECTS = "progress:projects"
"""Set of every project that ever had a job here."""

PROJECTS_A_CALL = 500
"""Of so many something is asked in one round trip, within one deadline."""

DUE_PROJECTS = "progress:due-projects"
"""Projects with unfinished jobs, by when the first of them should be looked at; +inf where all of them wait.

It lies elsewhere than the projects, and so is not part of what changes them: a score may be too early, and too late
only until the watchdog's next sweep.
"""


def project_of(job_id: str) -> str:
    """Return the key that says which project a job belongs to."""
    return f"progress:project-of:{job_id}"


WATCHDOG = "progress:watchdog"
"""Hash of when jobs were last evaluated, and until when none is said to be stuck."""

RETENTION = "progress:retention"
"""Hash of when somebody last listened for workers, and until when silence counts for nothing."""

PROBES = "progress:probe:"


def probe(name: str) -> str:
    """Return the channel on which one sidecar hears itself, so as to know that it hears."""
    return PROBES + name


def is_probe(channel: bytes) -> bool:
    """Whether a channel is such a one."""
    return channel.startswith(PROBES.encode())


def lease(name: str) -> str:
    """Return the key that says which sidecar does a work that only one should do."""
    return f"progress:lease:{name}"


@dataclass(frozen=True, slots=True)
class ProjectKeys:
    """The keys of one project.

    `changed` orders job ids by rev, `created` and `updated` by time, `active` the unfinished ones by creation,
    `idle` those by last progress, `due` by when they should be looked at if nothing is heard of them, `stalled`
    those that are, by since when and what nobody began last, `finished` the others by their last change; `rev` is a
    hash of epoch, run, base, begun, cut, restored and rev, `counts` one of jobs by type and status, `outbox` the
    stream of timeline events, `unread` those of them that wait for a release that can read them, `gone` the deleted
    ids by when their tombstone may go.
    """

    project: str

    def job(self, job_id: str) -> str:
        """Return the key of one job's document."""
        return f"progress:{{{self.project}}}:job:{job_id}"

    def indexes(self) -> list[str]:
        """Return the keys that scripts which change jobs take before those of the documents, in that order."""
        orders = ("created", "updated", "active", "idle", "due", "stalled", "finished")
        return [self.index(name) for name in ("rev", "changed", "outbox", "counts", "gone", *orders)]

    def index(self, name: str) -> str:
        """Return the key of one index."""
        return f"progress:{{{self.project}}}:{name}"

    @property
    def channel(self) -> str:
        """Return the channel on which changes of this project are told."""
        return f"progress:{{{self.project}}}"


def project_of_channel(channel: str) -> str:
    """Return the project whose channel this is."""
    return channel.removeprefix("progress:{").removesuffix("}")
