"""One answer to a scrape: in the format that was asked for, with what is read for this answer alone."""

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, choose_encoder, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector


class Scrape:
    """All families of one answer: those of the registry, and those read from the store for this answer alone."""

    def __init__(self, registry: CollectorRegistry, shared: Iterable[Metric]) -> None:
        self._registry = registry
        self._shared = shared

    def collect(self) -> Iterator[Metric]:
        """Yield the families, without the `_created` series that the library can only switch off process-wide."""
        for family in self._registry.collect():
            if family.type in ("counter", "histogram"):
                family.samples = [each for each in family.samples if not each.name.endswith("_created")]
            yield family
        yield from self._shared


def negotiated(accept: str | None) -> tuple[Callable[[Collector], bytes], str]:
    """Return the encoder and its content type; the library trips over versions such as `abc` and echoes others."""
    try:
        encode, content_type = choose_encoder(accept or "")
    except (TypeError, ValueError):
        return generate_latest, CONTENT_TYPE_PLAIN_0_0_4
    if content_type.isascii() and content_type.isprintable():
        return encode, content_type
    return generate_latest, CONTENT_TYPE_PLAIN_0_0_4
