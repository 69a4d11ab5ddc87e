"""The servers under load: each starts from nothing, on a core of its own, and ends with its block."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
SERVER_CORE, LOAD_CORE = "0", "1"
TOKEN = "a-token-for-the-benchmark"  # noqa: S105 - of a server that lives for a minute on loopback
DEADLINE_SECONDS = 15.0


class Broken(Exception):
    """A server or the load client did not do its part; says what."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs: its port, and the process to look at."""

    port: int
    pid: int

    @property
    def resident_bytes(self) -> int:
        """Memory of the process, without that of its children."""
        pages = Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    @property
    def cpu_seconds(self) -> float:
        """Time that the process has spent on a core, without that of its children."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pinned(core: str, *command: str) -> list[str]:
    """Return the command, bound to one core where that can be done."""
    return ["taskset", "-c", core, *command] if shutil.which("taskset") else [*command]


@contextmanager
def sidecar() -> Iterator[Server]:
    """Run the whole product with an empty store: tokens, metrics, the embedded Valkey with its fsync."""
    with tempfile.TemporaryDirectory(prefix="sidecar-bench-") as folder:
        port = _free_port()
        environment = {
            "SIDECAR_DATA_DIR": f"{folder}/data",
            "SIDECAR_LISTEN_PORT": str(port),
            "SIDECAR_TOKENS": f"admin:*:{TOKEN}",
            "SIDECAR_STORE_TIMEOUT_SECONDS": "10",
            "SIDECAR_LOG_LEVEL": "error",
            "SIDECAR_DRAIN_SECONDS": "1",
        }
        with _serving([sys.executable, "-m", "sidecar", "serve"], port, environment) as server:
            yield server


@contextmanager
def bare() -> Iterator[Server]:
    """Run the reference."""
    port = _free_port()
    with _serving([sys.executable, str(HERE / "echo.py"), str(port)], port, {}) as server:
        yield server


NCHAN = """\
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log crit;
load_module {module};
events {{ worker_connections 15000; }}
http {{
    access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder}; nchan_message_buffer_length 1;
    keepalive_requests 10000000;
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        location = /healthz {{ return 200; }}
        location = /publish {{ nchan_publisher; nchan_channel_id all; }}
        location = /stream {{ nchan_subscriber eventsource; nchan_channel_id all; }}
    }}
}}
"""
NCHAN_MODULE = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")


def has_nchan() -> bool:
    """Whether Debian's nginx and its nchan are here."""
    return shutil.which("nginx") is not None and NCHAN_MODULE.is_file()


@contextmanager
def nchan() -> Iterator[Server]:
    """Run nginx with nchan, a publisher and a channel for everybody."""
    with tempfile.TemporaryDirectory(prefix="nchan-bench-") as folder:
        port = _free_port()
        config = Path(folder) / "nginx.conf"
        config.write_text(NCHAN.format(folder=folder, module=NCHAN_MODULE, port=port), encoding="ascii")
        with _serving(["nginx", "-p", folder, "-c", str(config)], port, {}) as server:
            yield server


@contextmanager
def sink(program: Path) -> Iterator[Server]:
    """Run the load client's own counterpart."""
    port = _free_port()
    with _serving([str(program), "sink", f"port={port}", "seconds=120"], port, {}) as server:
        yield server


@contextmanager
def _serving(command: list[str], port: int, environment: dict[str, str]) -> Iterator[Server]:
    process = subprocess.Popen(  # noqa: S603
        pinned(SERVER_CORE, *command), env=os.environ | environment, stdout=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not _answers(port):
            if time.monotonic() > deadline or process.poll() is not None:
                raise Broken(f"{' '.join(command)} does not serve")
            time.sleep(0.05)
        yield Server(port, process.pid)
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(DEADLINE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _answers(port: int) -> bool:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/healthz", method="POST")
    try:
        with urllib.request.urlopen(request, timeout=1):  # noqa: S310 - loopback
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
