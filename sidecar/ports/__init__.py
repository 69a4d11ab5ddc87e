"""What the sidecar needs of the world: interfaces, their guarantees and their errors."""

from sidecar.ports.census import Census, Counts
from sidecar.ports.changes import Broker, Feed, Gone, Listening, Missed, Notice
from sidecar.ports.metrics import Exemplar, Metrics
from sidecar.ports.store import (
    ChangeJob,
    Cursor,
    Durability,
    LiveStore,
    Order,
    Page,
    Place,
    Query,
    Stored,
    Switch,
    Written,
)

__all__ = [
    "Broker",
    "Census",
    "ChangeJob",
    "Counts",
    "Cursor",
    "Durability",
    "Exemplar",
    "Feed",
    "Gone",
    "Listening",
    "LiveStore",
    "Metrics",
    "Missed",
    "Notice",
    "Order",
    "Page",
    "Place",
    "Query",
    "Stored",
    "Switch",
    "Written",
]
