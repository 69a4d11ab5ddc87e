"""Families of metrics and their series: fast look-ups, labels that can be encoded, bounds on what workers invent."""

from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from sidecar.ports import Exemplar

OTHER = "other"
"""The label value of everything that has no series of its own."""

MOST_JOB_TYPES = 50
"""Job types that get series because they turned up; the declared ones come on top."""

MOST_STAGES = 30
"""Stages that get series, of each job type; and kinds of items."""

MOST_STAGES_IN_ALL = 300
"""Stages that get series, of all job types together: each of them is a histogram by outcome, 54 samples and more."""

Family = TypeVar("Family", Counter, Gauge, Histogram)


class Series(Generic[Family]):
    """A family's series by label values: one dict look-up, where the library takes a lock and builds strings."""

    def __init__(self, family: Family) -> None:
        self._family: Family = family
        self._by_labels: dict[tuple[str, ...], Family] = {}

    def of(self, *labels: str) -> Family:
        """Return the series with these label values, a new one at 0."""
        series = self._by_labels.get(labels)
        if series is None:
            series = self._by_labels[labels] = self._family.labels(*map(encodable, labels))
        return series


class Families:
    """Makes families in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def plain_counter(self, name: str, text: str) -> Counter:
        return Counter(name, text, registry=self._registry)

    def plain_gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, registry=self._registry)

    def counter(self, name: str, text: str, *labels: str) -> Series[Counter]:
        return Series(Counter(name, text, labels, registry=self._registry))

    def gauge(self, name: str, text: str, *labels: str) -> Series[Gauge]:
        return Series(Gauge(name, text, labels, registry=self._registry))

    def histogram(self, name: str, text: str, buckets: Sequence[float], *labels: str) -> Series[Histogram]:
        return Series(Histogram(name, text, labels, buckets=buckets, registry=self._registry))


class Names:
    """Which job types, stages and items have series of their own: the first that turn up, and those declared.

    `begin` is told of each new type, so that its series are there at 0; `overflow` of each name shown as `other`.
    """

    def __init__(self, job_types: Sequence[str], begin: Callable[[str], None], overflow: Callable[[str], None]) -> None:
        """Begin with the declared types."""
        self._begin = begin
        self._overflow = overflow
        self._stages: dict[str, set[str]] = {}
        self._stage_count = 0
        self._items: dict[str, set[str]] = {}
        for job_type in (*job_types, OTHER):
            self._add(job_type)
        self._declared = frozenset(self._stages)
        self._most_types = len(self._stages) + MOST_JOB_TYPES

    @property
    def job_types(self) -> list[str]:
        """Every job type that has series."""
        return list(self._stages)

    def has_series(self, job_type: str) -> bool:
        """Tell whether a job type is shown by its name; it is from now on if there was room."""
        if job_type in self._stages:
            return True
        if len(self._stages) >= self._most_types:
            return False
        self._add(job_type)
        return True

    def alike(self, jobs_by_type: Mapping[str, int]) -> frozenset[str]:
        """Return which of the types in the stores are shown by name in what every replica reads alike from these.

        It hangs on what is in the stores alone, not on what a replica has seen: two that folded different types into
        `other` would, taken together, count many jobs twice. The types with most unfinished jobs come first.
        """
        found = jobs_by_type.keys() - self._declared
        shown = sorted(found, key=lambda job_type: (-jobs_by_type[job_type], job_type))[:MOST_JOB_TYPES]
        for job_type in shown:
            self.has_series(job_type)
        return self._declared.union(shown)

    def known(self, job_type: str) -> str:
        """Return the name under which a job type is shown that takes no place: it may be long gone, or a mistake."""
        return job_type if job_type in self._stages else OTHER

    def job_type(self, job_type: str) -> str:
        """Return the name under which a job type is shown."""
        if self.has_series(job_type):
            return job_type
        self._overflow("job_type")
        return OTHER

    def stage(self, shown_type: str, stage: str) -> str:
        """Return the name under which a stage is shown."""
        if self.has_stage(shown_type, stage):
            return stage
        self._overflow("stage")
        return OTHER

    def has_stage(self, shown_type: str, stage: str) -> bool:
        """Tell whether a stage is shown by its name; it is from now on if there was room."""
        known = self._stages[shown_type]
        if stage in known:
            return True
        if len(known) >= MOST_STAGES or self._stage_count >= MOST_STAGES_IN_ALL:
            return False
        known.add(stage)
        self._stage_count += 1
        return True

    def item(self, shown_type: str, item: str) -> str:
        """Return the name under which a kind of items is shown."""
        known = self._items.setdefault(shown_type, set())
        if item not in known and len(known) >= MOST_STAGES:
            self._overflow("item")
            return OTHER
        known.add(item)
        return item

    def _add(self, job_type: str) -> None:
        self._stages[job_type] = set()
        self._begin(job_type)


def encodable(label: str) -> str:
    """Return the text without lone surrogates, which would fail every scrape."""
    return label.encode(errors="replace").decode()


def labels_of(exemplar: Exemplar) -> dict[str, str] | None:
    """Return an exemplar as the library wants it."""
    return None if exemplar is None else dict(exemplar)
