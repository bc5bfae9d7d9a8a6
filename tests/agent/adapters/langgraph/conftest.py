"""The memories that checkpoints are kept in."""

from tests.memory.conftest import place, postgres_server, postgres_url, redis_server, redis_url

__all__ = ["place", "postgres_server", "postgres_url", "redis_server", "redis_url"]
