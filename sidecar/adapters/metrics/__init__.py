"""What is counted, as Prometheus scrapes it."""
