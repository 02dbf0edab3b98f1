"""The settings of the service, as plain data that a worker process can be handed."""

import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from polylogit.errors import RecipeError

__all__ = ["LOOPBACK", "TOKEN_VARIABLE", "ServeSettings", "read_token"]

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""The hosts that only this machine reaches."""

TOKEN_VARIABLE = "POLYLOGIT_TOKEN"  # noqa: S105 - the name of the variable
"""The environment variable that holds the bearer token."""

_FEWEST_TOKEN_CHARACTERS = 16


@dataclass(frozen=True)
class ServeSettings:
    """What `polylogit serve` was asked for.

    Args:
        models: Model files.
        host: Address to listen at.
        port: Port to listen at; 0: a free one.
        workers: Processes that answer.
        abstain_below: Give no class to a row whose top probability is below this, unless a request asks otherwise.
        terse_errors: Whether errors leave out the values that came.
        reload: Whether to load a model file again when it changes.
        token_file: File with the bearer token that requests must carry.
        allowed_hosts: Further names that the header `Host` may have.
        max_bytes: Most bytes of a body, also after decompression.
        max_rows: Most rows of a request.
        max_pixels: Most pixels of a picture before it is scaled.
        max_requests: Most requests that are answered at a time by each process; more get status 503.
        deadline: Seconds after which a request gets status 504.
        header_seconds: Seconds after which a connection that has not sent a complete head is closed.
        stalled_seconds: Seconds for which a batch may be in the network before `/livez` reports a failure.
        log_requests: Whether each request is logged.
    """

    models: tuple[Path, ...]
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    abstain_below: float | None = None
    terse_errors: bool = False
    reload: bool = False
    token_file: Path | None = None
    allowed_hosts: tuple[str, ...] = ()
    max_bytes: int = 16 * 2**20
    max_rows: int = 10_000
    max_pixels: int = 50_000_000
    max_requests: int = 256
    deadline: float = 30.0
    header_seconds: float = 10.0
    stalled_seconds: float = 30.0
    log_requests: bool = True

    def __post_init__(self) -> None:
        if self.abstain_below is not None and not 0 <= self.abstain_below <= 1:
            raise RecipeError(f"--abstain-below {self.abstain_below:g}: expected a probability, 0 to 1.")
        for name in ("workers", "max_bytes", "max_rows", "max_pixels", "max_requests", "deadline"):
            value = getattr(self, name)
            if not value > 0:
                raise RecipeError(f"--{name.replace('_', '-')} {value:g}: expected a number above 0.")

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches the service."""
        return self.host in LOOPBACK

    def as_json(self) -> str:
        """The settings as text for a worker process. The token is not among them."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> "ServeSettings":
        """The settings whose `as_json` this is."""
        entries: dict[str, Any] = json.loads(text)
        entries["models"] = tuple(map(Path, entries["models"]))
        entries["token_file"] = None if entries["token_file"] is None else Path(entries["token_file"])
        entries["allowed_hosts"] = tuple(entries["allowed_hosts"])
        return cls(**{field.name: entries[field.name] for field in fields(cls)})


def read_token(token_file: Path | None) -> str | None:
    """The bearer token that requests must carry, from a file or from the environment.

    Args:
        token_file: A file that holds the token alone; None: the environment variable `POLYLOGIT_TOKEN` counts.

    Returns:
        The token; None where neither is given.

    Raises:
        RecipeError: The file cannot be read, or the token is short or has characters that a header cannot carry.
    """
    if token_file is None:
        token = os.environ.get(TOKEN_VARIABLE)
        place = f"${TOKEN_VARIABLE}"
        if token is None:
            return None
    else:
        place = f"--token-file {token_file}"
        try:
            token = token_file.read_text(encoding="utf-8")
        except (OSError, ValueError) as fault:
            raise RecipeError(f"{place}: the token cannot be read ({type(fault).__name__}).") from fault
    token = token.strip()
    if len(token) < _FEWEST_TOKEN_CHARACTERS or not token.isascii() or not token.isprintable() or " " in token:
        raise RecipeError(
            f"{place}: expected at least {_FEWEST_TOKEN_CHARACTERS} printable ASCII characters without spaces. "
            "Make one with: python -c 'import secrets; print(secrets.token_urlsafe())'"
        )
    return token
