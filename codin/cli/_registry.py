"""`codin registry`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from codin.errors import ConfigError

__all__ = ["registry"]


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=7000, show_default=True, help="0 takes a free one.")
@click.option(
    "--store", metavar="URL", help="memory://, or sqlite:///file.db.  [default: a file below the home directory]"
)
@click.option("--public-url", metavar="URL", help="Where agents reach the registry: they sign for that address.")
@click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False),
    help="Lines of `caller-id token`; then every request needs a bearer token.",
)
@click.option("--unsigned", is_flag=True, help="Take agents without a key, too.")
@click.option(
    "--keys", metavar="PATH", help="Your keys: your agents keep their names, whatever is rotated or revoked there."
)
@click.option(
    "--probe",
    type=click.FloatRange(min=0, max=86400),
    metavar="SECONDS",
    default=30.0,
    show_default=True,
    help="How often every card is looked at, for health and latency; 0 never.",
)
@click.option(
    "--embeddings",
    metavar="URL",
    help="Search by meaning: a server that speaks OpenAI's embeddings, as https://api.openai.com/v1. Its key is taken "
    "from OPENAI_API_KEY.",
)
@click.option(
    "--embedding-model",
    metavar="NAME",
    default="text-embedding-3-small",
    show_default=True,
    help="Which of its models.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="warning",
    show_default=True,
    help="Of the server, on standard error.",
)
def registry(
    host: str,
    port: int,
    store: str | None,
    public_url: str | None,
    token_file: str | None,
    unsigned: bool,
    keys: str | None,
    probe: float,
    embeddings: str | None,
    embedding_model: str,
    log_level: str,
) -> int:
    """Run a registry, where agents say that they are there and others find them, until Ctrl-C.

    \b
    codin registry
    codin serve hello.py --registry http://127.0.0.1:7000
    codin find --registry http://127.0.0.1:7000 hello
    codin registry --embeddings https://api.openai.com/v1
    """
    import logging

    from codin.mesh.registry import Embeddings
    from codin.server import serve_registry
    from codin.trust import KeyRing

    logging.basicConfig(level=log_level.upper(), format="%(levelname)s %(name)s: %(message)s")
    serve_registry(
        host=host,
        port=port,
        store=store or f"sqlite:///{_file()}",
        public_url=public_url,
        token_file=token_file,
        allow_unsigned=unsigned,
        keys=None if keys is None else KeyRing.open(keys),
        probe=probe or None,
        embed=Embeddings(embeddings, embedding_model, key=os.environ.get("OPENAI_API_KEY")) if embeddings else None,
        log_level=log_level,
    )
    return 0


def _file() -> Path:
    """Source: XDG Base Directory Specification, `XDG_STATE_HOME`."""
    given = os.environ.get("XDG_STATE_HOME", "")
    folder = (Path(given) if Path(given).is_absolute() else Path.home() / ".local" / "state") / "codin"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigError(
            f"{folder} cannot be made: {error.strerror}", hint="--store memory:// keeps nothing"
        ) from None
    return folder / "registry.db"
