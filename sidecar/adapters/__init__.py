"""What stands behind the ports: Redis, the embedded Valkey, SQL, metrics, traces."""
