"""`make bench`: the whole product on one core, the load on another, every row as a ratio to bare aiohttp.

Tokens, metrics, deduplication and the embedded Valkey with its fsync are on. Rounds are interleaved, so that a noisy
machine is noisy to both sides; medians are shown with the spread of the rounds. Needs a C compiler for `load.c`.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent
SERVER_CORE, LOAD_CORE = "0", "1"
ECHO_PORT, SIDECAR_PORT = 8690, 8691
TOKEN = "a-token-for-the-benchmark"  # noqa: S105 - of a server that lives for a minute on loopback
DEADLINE_SECONDS = 15.0


@dataclass(frozen=True)
class Row:
    """One thing to measure: the arguments of `load` after host and port, and updates in each request."""

    name: str
    connections: int
    jobs: int
    batch: int = 0

    @property
    def updates(self) -> int:
        """How many updates one answer stands for."""
        return self.batch or 1


ROWS = (
    Row("single pushes, 1,000 random jobs, 64 connections", 64, 1_000),
    Row("single pushes, 100,000 random jobs, 64 connections", 64, 100_000),
    Row("single pushes, one hot job, 64 connections", 64, 1),
    Row("batches of 100, 4 connections", 4, 1_000, 100),
    Row("batches of 1,000, 4 connections", 4, 1_000, 1_000),
)


def pinned(core: str, *command: str) -> list[str]:
    """Return the command, bound to one core where that can be done."""
    return ["taskset", "-c", core, *command] if shutil.which("taskset") else [*command]


@contextmanager
def serving(command: list[str], url: str, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the end of the block."""
    process = subprocess.Popen(pinned(SERVER_CORE, *command), env=environment, stdout=subprocess.DEVNULL)  # noqa: S603
    try:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not _answers(url):
            if time.monotonic() > deadline or process.poll() is not None:
                sys.exit(f"nothing answers at {url}")
            time.sleep(0.05)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(DEADLINE_SECONDS)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1):  # noqa: S310 - loopback
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def load(program: Path, kind: str, port: int, row: Row, seconds: float) -> dict[str, Any]:
    """Run the load client once."""
    arguments = [kind, "127.0.0.1", str(port), str(row.connections), str(seconds), str(row.jobs), str(row.batch)]
    command = pinned(LOAD_CORE, str(program), *arguments, *([TOKEN] if kind == "push" else []))
    output = subprocess.run(command, check=True, capture_output=True, timeout=seconds + 30).stdout  # noqa: S603
    return dict(json.loads(output))


def measure(program: Path, row: Row, rounds: int, seconds: float) -> str:
    """Return one line of the table."""
    bare, ours = [], []
    for _ in range(rounds):
        bare.append(load(program, "echo", ECHO_PORT, row, seconds))
        ours.append(load(program, "push", SIDECAR_PORT, row, seconds))
    rate, reference = (median(r["per_second"] for r in results) for results in (ours, bare))
    spread = max(r["per_second"] for r in ours) / min(r["per_second"] for r in ours)
    p50, p99 = (median(r[name] for r in ours) / 1000 for name in ("p50_us", "p99_us"))
    failures = sum(r["failures"] for r in ours)
    return (
        f"| {row.name} | {rate * row.updates:,.0f} | {reference * row.updates:,.0f} | {rate / reference:.2f} "
        f"| {p50:.1f} / {p99:.1f} | x{spread:.2f} | {failures} |"
    )


def main() -> None:
    """Build the client, start both servers, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sidecar-bench-") as folder:
        program = Path(folder) / "load"
        subprocess.run(["cc", "-O2", "-o", program, HERE / "load.c"], check=True)  # noqa: S603, S607
        environment = os.environ | {
            "SIDECAR_DATA_DIR": f"{folder}/data",
            "SIDECAR_LISTEN_PORT": str(SIDECAR_PORT),
            "SIDECAR_TOKENS": f"admin:*:{TOKEN}",
            "SIDECAR_STORE_TIMEOUT_SECONDS": "10",
        }
        echo = [sys.executable, str(HERE / "echo.py"), str(ECHO_PORT)]
        sidecar = [sys.executable, "-m", "sidecar", "serve"]
        with (
            serving(echo, f"http://127.0.0.1:{ECHO_PORT}/", dict(os.environ)),
            serving(sidecar, f"http://127.0.0.1:{SIDECAR_PORT}/healthz", environment),
        ):
            print("| | updates/s | bare aiohttp | ratio | p50 / p99 ms | spread | failures |")
            print("|---|---|---|---|---|---|---|")
            for row in ROWS:
                print(measure(program, row, asked.rounds, asked.seconds), flush=True)


if __name__ == "__main__":
    main()
