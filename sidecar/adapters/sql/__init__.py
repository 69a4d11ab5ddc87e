"""History, and the store that serves while Redis is away, in SQL: SQLite or PostgreSQL."""
