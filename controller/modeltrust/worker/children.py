"""One process per order: a fresh interpreter with an empty environment, the order on a pipe, and a deadline that ends its group.

Nothing of an order stands in arguments, the environment or on disk, and nothing of one order outlives its process, so that nothing
leaks into the next. Whatever a child does beside printing one report is *we could not look*, never a fact.
"""

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO

from modeltrust.api.output import report_of
from modeltrust.domain import limits
from modeltrust.domain.errors import MalformedError, UnavailableError
from modeltrust.domain.work import Report

_CHUNK_BYTES = 64 * 1024
_POLL_SECONDS = 0.01
_PIPE_BYTES = 4_096  # a pipe that is ready takes so many without blocking
_LIMITED = 13  # job.examine.Exit.LIMITED


@dataclass(slots=True)
class Children:
    """Starts examinations and ends them.

    Attributes:
        arguments: after ``modeltrust job examine``.
        seconds: until a child's group is killed.
        program: what is run; tests exchange it.
        clock: monotonic seconds.
    """

    seconds: float
    clock: Callable[[], float]
    arguments: tuple[str, ...] = ()
    program: tuple[str, ...] = (sys.executable, "-I", "-m", "modeltrust", "job", "examine")
    _running: set[int] = field(default_factory=set, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)
    _stopping: bool = field(default=False, init=False)

    def examine(self, order: bytes) -> Report:
        """Run one child to its end.

        Args:
            order: as JSON.

        Raises:
            UnavailableError: it printed no report: it crashed, was killed, took too long, or printed something else.
        """
        with self._started() as child:
            output = self._converse(child, order)
            self._expect_end(child)
        if child.returncode != 0:
            raise UnavailableError(_ended(child.returncode))
        try:
            return report_of(output)
        except MalformedError as error:
            raise UnavailableError(f"the examination printed no report: {error}") from error

    def stop(self) -> None:
        """Kill every child, and start no more."""
        with self._lock:
            self._stopping = True
            for group in self._running:
                _kill(group)

    @contextlib.contextmanager
    def _started(self) -> "Iterator[subprocess.Popen[bytes]]":
        with self._lock:
            if self._stopping:
                raise UnavailableError("the worker is stopping")
            child = self._start()
            self._running.add(child.pid)
        try:
            yield child
        finally:
            with self._lock:
                self._running.discard(child.pid)
                _kill(child.pid)  # also what it left behind in its group; the group's id is free only after the wait
                child.wait()
            for stream in (child.stdin, child.stdout):
                with contextlib.suppress(OSError):
                    _piped(stream).close()

    def _start(self) -> "subprocess.Popen[bytes]":
        try:
            return subprocess.Popen(  # noqa: S603 - our own interpreter and our own program
                [*self.program, *self.arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # foreign texts; what is to be known stands in the output
                env={},
                cwd="/",
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            raise UnavailableError(f"the examination cannot be started: {error.strerror}") from error

    def _converse(self, child: "subprocess.Popen[bytes]", order: bytes) -> bytes:
        """Write the order and read the output together, so that neither side waits for the other."""
        source, sink = _piped(child.stdin), _piped(child.stdout)
        ends = self.clock() + self.seconds
        left, output = memoryview(order), bytearray()
        os.set_blocking(source.fileno(), False)
        with selectors.DefaultSelector() as selector:
            selector.register(source, selectors.EVENT_WRITE)
            selector.register(sink, selectors.EVENT_READ)
            while True:
                remaining = ends - self.clock()
                if remaining <= 0:
                    raise UnavailableError(f"the examination took more than {self.seconds:g} s")
                for key, _ in selector.select(remaining):
                    if key.fileobj is source:
                        left = _write(source, left)
                        if not left:
                            selector.unregister(source)
                            source.close()
                        continue
                    data = os.read(sink.fileno(), _CHUNK_BYTES)
                    if not data:
                        return bytes(output)
                    output += data
                    if len(output) > limits.OUTPUT_BYTES:
                        raise UnavailableError(f"the examination printed more than {limits.OUTPUT_BYTES} bytes")

    def _expect_end(self, child: "subprocess.Popen[bytes]") -> None:
        """Wait until it has ended, without collecting it: until then nobody else gets its id, and its group can be killed."""
        ends = self.clock() + limits.EXAMINER_EXIT_SECONDS
        while os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
            if self.clock() >= ends:
                raise UnavailableError("the examination printed its report and did not end")
            time.sleep(_POLL_SECONDS)


def _write(stream: IO[bytes], left: memoryview) -> memoryview:
    try:
        return left[os.write(stream.fileno(), left[:_PIPE_BYTES]) :]
    except BlockingIOError:
        return left
    except OSError:
        return left[len(left) :]  # it reads no more; its exit code says why


def _piped(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:  # both are asked for in _start
        raise UnavailableError("the examination has no pipe")
    return stream


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _ended(code: int) -> str:
    if code == _LIMITED:
        return "the examination ended with exit code 13: memory was not enough, or the model is more involved than can be reported"
    if code >= 0:
        return f"the examination ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = str(-code)
    return f"the examination was killed by {name}"
