"""Which program this is, and what its process and its interpreter use."""

import platform

from prometheus_client import CollectorRegistry, GCCollector, Info, PlatformCollector, ProcessCollector


def register_process(registry: CollectorRegistry, version: str, revision: str) -> None:
    """Let the registry tell which program this is and what its process and interpreter use."""
    build = {"version": version, "revision": revision, "python_version": platform.python_version()}
    Info("progress_build", "Which program this is.", registry=registry).info(build)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
