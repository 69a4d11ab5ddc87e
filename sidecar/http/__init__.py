"""The HTTP API: requests in, answers out; what is true is decided elsewhere."""
