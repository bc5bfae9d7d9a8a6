"""The log of a pod, read back: what was written to which stream, what the artifacts are, and how it ended."""

from __future__ import annotations

import base64
import io
import json
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, cast

from codin.errors import FileRefused
from codin.runtime._job import wanted
from codin.runtime._kubernetes.job import MOST_BACK
from codin.sandbox import Output, Stream

__all__ = ["PodLog", "unpacked"]

_LONGEST = 1024 * 1024  # bytes of one marked line: the pod writes shorter ones
_AROUND = 64 * 1024 * 1024  # bytes of an archive that are no files' content: two thousand for each


class PodLog:
    """Parts a log into what its marked lines say.

    Args:
        mark: begins the lines that codin writes.
        plain: the stream that everything else belongs to.
    """

    def __init__(self, mark: str, plain: Stream) -> None:
        self.end: dict[str, Any] | None = None
        """How the command ended, once that is known."""
        self.packed = bytearray()
        """The archive of the artifacts; where a pod gives more than it may, a little more than that."""
        self._mark = mark.encode() + b" "
        self._plain: Stream = plain
        self._held = b""

    def feed(self, data: bytes) -> Iterator[Output]:
        """What a piece of the log, together with those before it, tells."""
        self._held += data
        while self._held:
            start = self._held.find(self._mark)
            if start < 0:
                start = self._held.rfind(self._mark[:1])
                start = start if start >= 0 and self._mark.startswith(self._held[start:]) else len(self._held)
                if start:
                    yield self._take(start)
                return
            if start:
                yield self._take(start)
            line, ended, rest = self._held.partition(b"\n")
            if not ended and len(line) < _LONGEST:
                return
            self._held = rest
            word, _, said = line[len(self._mark) :].partition(b" ")
            if (output := self._told(word, said)) is not None:
                yield output

    def rest(self) -> Iterator[Output]:
        """What is left when the log has ended."""
        if self._held:
            yield self._take(len(self._held))

    def _take(self, size: int) -> Output:
        data, self._held = self._held[:size], self._held[size:]
        return Output(self._plain, data)

    def _told(self, word: bytes, said: bytes) -> Output | None:
        try:
            data = base64.b64decode(said)
            if word == b"end":
                told = json.loads(data)
                self.end = cast("dict[str, Any]", told) if isinstance(told, dict) else None
        except (ValueError, RecursionError):
            return None
        if word == b"t" and len(self.packed) <= MOST_BACK:
            self.packed += data
        return Output("stdout" if word == b"o" else "stderr", data) if word in (b"o", b"e") else None


def unpacked(packed: bytes, patterns: Sequence[str], most: int) -> dict[str, bytes]:
    """The artifacts of an archive that a pod gave, which may hold anything. Raises FileRefused when it is too much."""
    if not packed or not patterns:
        return {}
    if len(packed) > MOST_BACK:
        raise FileRefused("the artifacts are larger than the log of a pod", path=patterns[0])
    unpacking = zlib.decompressobj(wbits=31)
    try:
        archive = unpacking.decompress(packed, most + _AROUND)
        if unpacking.unconsumed_tail:
            raise FileRefused("the artifacts are larger than limits.disk", path=patterns[0])
        if not unpacking.eof:
            raise EOFError("they end too early")
        return _files(archive, patterns, most)
    except FileRefused:
        raise
    except Exception as error:  # of any kind: whoever made it may have meant to
        raise FileRefused(f"the artifacts cannot be read: {error}", path=patterns[0]) from error


def _files(archive: bytes, patterns: Sequence[str], most: int) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    # As a stream, in which no member can lead back to one before it.
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r|") as members:
        for member in members:
            path = member.name.removeprefix("./")
            if not member.isfile() or path.startswith("/") or ".." in path.split("/") or not wanted(path, patterns):
                continue
            most -= max(0, member.size)  # which is more than there is of it, where it has holes
            if most < 0:
                raise FileRefused("the artifacts are larger than limits.disk", path=path)
            content = members.extractfile(member)
            found[path] = b"" if content is None else content.read()
    return found
