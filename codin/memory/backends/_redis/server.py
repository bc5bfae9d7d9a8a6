"""Redis as the memory meets it: its client, its scripts, and what goes wrong with them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from importlib import import_module
from typing import Any

from codin.errors import ConfigError, MemoryFailed, MemoryUnavailable, NotKept
from codin.memory.backends._not_open import not_open
from codin.task.stores._url import parts_of

__all__ = ["Server"]

_CONNECTIONS = 20
_FORMAT = 2
_FORMAT_KEY = "codin:memory:format"


class Server:
    """A client of a Redis.

    Args:
        patience: seconds that a connection, and each call, may take.
    """

    def __init__(self, url: str, patience: float) -> None:
        try:
            driver: Any = import_module("redis.asyncio")
        except ImportError as error:
            raise ConfigError("a memory in Redis needs its client", hint="pip install 'codin[redis]'") from error
        parts_of(url, "memory")
        self._errors: Any = import_module("redis.exceptions")
        pool = driver.BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            timeout=patience,
            socket_timeout=patience,
            socket_connect_timeout=patience,
            # What may have been done is not done again.
            retry=import_module("redis.asyncio.retry").Retry(import_module("redis.backoff").NoBackoff(), 0),
            protocol=2,
        )
        pool.connection_class(**pool.connection_kwargs)  # an option that is none is told now, and not at the first call
        self._client: Any = driver.Redis.from_pool(pool)
        self._scripts: dict[str, Any] = {}
        self._opened = False

    async def open(self) -> bool:
        """Look whether it is there; whether what it keeps is of an earlier form."""
        with self._told():
            await self._client.setnx(_FORMAT_KEY, _FORMAT)
            version = int(await self._client.get(_FORMAT_KEY))
        if version > _FORMAT:
            raise MemoryFailed(
                f"the memory in Redis has form {version}, and this codin knows {_FORMAT}",
                hint="a newer codin made it: upgrade, or use another database",
            )
        self._opened = True
        return version < _FORMAT

    async def upgraded(self) -> None:
        """From now on, what is kept is of our form."""
        async with self.asked() as client:
            await client.set(_FORMAT_KEY, _FORMAT)

    async def close(self) -> None:
        self._opened = False
        with self._told():
            await self._client.aclose()

    async def run(self, script: str, keys: Sequence[str], arguments: Sequence[object] = ()) -> Any:
        """What a script gives."""
        async with self.asked() as client:
            if script not in self._scripts:
                self._scripts[script] = client.register_script(script)
            return await self._scripts[script](keys=keys, args=arguments)

    @asynccontextmanager
    async def asked(self) -> AsyncGenerator[Any]:
        """The client; what it raises comes in our words."""
        if not self._opened:
            raise not_open()
        with self._told():
            yield self._client

    @contextmanager
    def _told(self) -> Generator[None]:
        """What the driver raises, in our words; with nothing of the URL."""
        errors = self._errors
        try:
            yield
        except errors.AuthenticationError as error:
            hint = "look at the user and the password of the memory's URL"
            raise MemoryUnavailable("Redis does not let us in", hint=hint) from error
        except (errors.ConnectionError, errors.TimeoutError, OSError) as error:
            raise MemoryUnavailable(f"Redis did not answer: {error}") from error
        except (UnicodeEncodeError, errors.DataError) as error:
            raise NotKept(f"Redis takes no such value: {error}") from error
        except errors.OutOfMemoryError as error:
            hint = "it has reached its maxmemory: forget or trim something, or give it more"
            raise MemoryFailed("Redis is full", hint=hint) from error
        except errors.RedisError as error:
            raise MemoryFailed(f"Redis refused: {error}") from error
