"""Writes dashboards/*.json for Grafana: `python -m tools.dashboards`, with `--check` to see whether they are fresh."""
