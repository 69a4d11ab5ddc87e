"""Runs the demo: connects its parts, and stops them when it is told to."""

import math
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

from sidecar.demo.client import Address, Client, Refused, is_address
from sidecar.demo.delivery import Delivery
from sidecar.demo.director import JOBS, Director
from sidecar.demo.reading import Reader
from sidecar.demo.watching import watching

LONGEST_WAIT_SECONDS = 1.0
BAD_ARGUMENTS = 2


def run(url: str, token: str | None, *, seconds: float | None = None, seed: int = 1, speed: float = 1.0) -> int:
    """Play jobs until SIGINT or SIGTERM, or for so many seconds; what still runs then is reported as cancelled.

    The same seed plays the same jobs (under other ids), `speed` times as fast: jobs work faster, while they stall as
    long as the sidecar's limits want. A sidecar that is away, from the start or later, is waited for. Returns the exit
    code: 0, 1 if the sidecar does not let it in, 2 if `url` cannot be the address of one.
    """
    if not is_address(url):
        _say(f"{url!r} is no address: it should be like http://127.0.0.1:8650")
        return BAD_ARGUMENTS
    address, stop = Address(url, token), threading.Event()
    ends_at = math.inf if seconds is None else time.monotonic() + seconds
    _say(f"playing {JOBS} jobs at a time for {url} (seed {seed}); Ctrl-C ends it")
    with ExitStack() as stack:
        stack.enter_context(_until_signalled(stop))
        client = stack.enter_context(closing(Client(address)))
        stack.enter_context(watching(address, seed))
        reader = Reader(client, random.Random(seed), speed)  # noqa: S311 - no secret
        return _direct(Director(Delivery(client, _say), reader, seed, speed, _say), stop, ends_at)


def _direct(director: Director, stop: threading.Event, ends_at: float) -> int:
    try:
        while not stop.is_set() and (now := time.monotonic()) < ends_at:
            stop.wait(min(director.turn(now), LONGEST_WAIT_SECONDS, ends_at - now))
    except Refused as error:
        _say(f"it is not let in: {error}")
        return 1
    director.end_all()
    return 0


@contextmanager
def _until_signalled(stop: threading.Event) -> Iterator[None]:
    """Set the event on SIGINT and SIGTERM while inside; a second one has its ordinary effect."""
    if threading.current_thread() is not threading.main_thread():  # only that one may
        yield
        return

    def asked(number: int, _frame: object) -> None:
        signal.signal(number, before[signal.Signals(number)])
        stop.set()

    before = {number: signal.signal(number, asked) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(line: str) -> None:
    sys.stderr.write(f"demo: {line}\n")
    sys.stderr.flush()
