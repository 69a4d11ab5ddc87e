"""The directory that one sidecar has to itself."""

import asyncio
import ctypes
import fcntl
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from sidecar.core.errors import StartError

PATIENCE_SECONDS = 5.0
"""How long a predecessor that is dying may take to let go."""

RETRY_SECONDS = 0.05

PR_SET_PDEATHSIG = 1
"""From linux/prctl.h."""

LONGEST_SOCKET_PATH_BYTES = 107 if sys.platform == "linux" else 103
"""What the kernel takes for a unix socket (unix(7)), without the closing zero."""


class DataDirectory:
    """A directory under an exclusive lock, so that no two servers ever write the same files.

    The lock belongs to the open file, not to the process: a child that inherits `lock_fd` keeps the directory locked
    until it too has ended, however its parent went.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock_fd: int | None = None
        self._socket: Path | None = None
        self._socket_home: tempfile.TemporaryDirectory[str] | None = None

    @property
    def lock_fd(self) -> int:
        """The descriptor to hand to a child that writes here."""
        if self._lock_fd is None:
            raise RuntimeError("a data directory is acquired before it is used")
        return self._lock_fd

    async def acquire(self, patience_seconds: float = PATIENCE_SECONDS) -> None:
        """Create the directory if it is not there, and lock it; StartError when that cannot be."""
        try:
            lock_fd = _open_lock(self.path)
        except OSError as error:
            raise _unusable(self.path, error) from error
        try:
            await self._lock(lock_fd, patience_seconds)
        except BaseException:
            os.close(lock_fd)
            raise
        self._lock_fd = lock_fd

    def release(self) -> None:
        """Let go of the directory; whoever inherited the lock keeps it. Harmless when it is not held."""
        if self._lock_fd is not None:
            # Closed, not unlocked: unlocking would take the lock from a child that still writes.
            os.close(self._lock_fd)
            self._lock_fd = None

    def folder(self, name: str) -> Path:
        """Return the absolute path of a folder of its own, which only this user may read."""
        path = self.path.absolute() / name
        path.mkdir(mode=0o700, exist_ok=True)
        return path

    def place_socket(self, name: str) -> Path:
        """Return where a unix socket goes: here, or in a private directory when that path is too long for one."""
        if self._socket is None:
            self._socket = self.path.absolute() / name
            if len(os.fsencode(self._socket)) > LONGEST_SOCKET_PATH_BYTES:
                self._socket_home = tempfile.TemporaryDirectory(prefix="sidecar-")
                self._socket = Path(self._socket_home.name) / name
        return self._socket

    def remove_socket(self) -> None:
        """Remove the socket, whose server has ended, and its private directory. Harmless when there is none."""
        if self._socket is not None:
            self._socket.unlink(missing_ok=True)
            self._socket = None
        if self._socket_home is not None:
            self._socket_home.cleanup()
            self._socket_home = None

    async def _lock(self, lock_fd: int, patience_seconds: float) -> None:
        clock = asyncio.get_running_loop().time
        deadline = clock() + patience_seconds
        try:
            while not _try_to_lock(lock_fd):
                if clock() >= deadline:
                    raise _in_use(self.path, lock_fd)
                await asyncio.sleep(RETRY_SECONDS)
            _sign(lock_fd)
        except OSError as error:
            raise _unusable(self.path, error) from error


def _open_lock(path: Path) -> int:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _try_to_lock(lock_fd: int) -> bool:
    try:
        fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sign(lock_fd: int) -> None:
    """Say who holds the lock: for people, nothing reads it to decide."""
    signature = f"{os.getpid()}\n".encode()
    os.pwrite(lock_fd, signature, 0)
    os.ftruncate(lock_fd, len(signature))


def _in_use(path: Path, lock_fd: int) -> StartError:
    holder = os.pread(lock_fd, 32, 0).decode(errors="replace").strip() or "unknown"
    return StartError(
        f"the data directory {path} is in use by another sidecar (process {holder}); "
        "give this one its own SIDECAR_DATA_DIR"
    )


def _unusable(path: Path, error: OSError) -> StartError:
    return StartError(
        f"the data directory {path} cannot be used ({error.strerror}); "
        "set SIDECAR_DATA_DIR to a directory that this user may write"
    )


def die_with_this_process() -> Callable[[], None] | None:
    """Return a `preexec_fn` by which the kernel kills a child that writes here with the thread that started it.

    SIGKILL, not SIGTERM: no script and no slow shutdown holds it up, so that the next sidecar finds the lock free.
    Elsewhere than on Linux a child outlives its killed parent, and the lock that it inherited keeps others out.
    """
    if sys.platform != "linux":
        return None
    # Looked up before the fork: in the child of a process with threads as little as can be should happen.
    prctl, parent = ctypes.CDLL(None, use_errno=True).prctl, os.getpid()

    def before_exec() -> None:
        if prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
        if os.getppid() != parent:  # it went before the kernel knew
            os._exit(1)

    return before_exec
