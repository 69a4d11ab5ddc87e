"""Progress of jobs: workers push it, browsers watch it, Prometheus alerts on it."""

from importlib.metadata import version

__version__ = version("progress-sidecar")
