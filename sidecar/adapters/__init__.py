"""What stands behind the ports: Redis, the embedded Valkey, metrics."""
