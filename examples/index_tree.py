"""Index a directory tree and report how far that is: a whole worker in the standard library, to copy from.

    python examples/index_tree.py /usr/lib/python3 --slow 0.05

It finds the files (scanning), reads them (hashing) and tells what there is (summarising). The sidecar hears of it,
and is obeyed when it passes on that somebody wants the job paused or cancelled; when it is away, the work goes on.
The environment has SIDECAR_URL and SIDECAR_TOKEN. Exit codes: 0 completed, 1 failed, 3 cancelled.
"""

import argparse
import hashlib
import http.client
import json
import os
import secrets
import socket
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

SPACING_SECONDS = 0.2
PAUSE_CHECK_SECONDS = 1.0
TIMEOUT_SECONDS = 2.0
FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 0.5, 30.0
CHUNK_BYTES = 1024 * 1024
MOST_SUFFIXES, MOST_LISTED = 10, 5

PLAN = [
    {"name": "scanning", "weight": 5, "label": "Looking for files"},
    {"name": "hashing", "weight": 90, "label": "Reading files"},
    {"name": "summarising", "weight": 5, "label": "Summing up"},
]


class Cancelled(Exception):
    """Somebody asked for the work to end."""


class Sidecar:
    """Tells a sidecar how far one job is: the newest state only, not too often, never in the way of the work.

    What could not be delivered goes out with the next report. Every report names its stage and holds absolute
    numbers, so it does no harm if one is lost: the next says it all. `opening` is what the first says besides.
    """

    def __init__(self, url: str, job_id: str, token: str, opening: dict[str, Any]) -> None:
        parts = urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.netloc, timeout=TIMEOUT_SECONDS)
        self._path = f"{parts.path.rstrip('/')}/v1/jobs/{job_id}"
        self._headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        self._writer = f"{socket.gethostname()[:64]}-{os.getpid()}-{secrets.token_hex(4)}"
        self._seq, self._stage = 0, ""
        self._unsaid = opening
        self._answer: dict[str, Any] = {}
        self._next_at = 0.0  # by our own pace
        self._not_before = 0.0  # because the sidecar asked for it, or is away
        self._retry_seconds = FIRST_RETRY_SECONDS

    def report(self, stage: str, current: int, total: int, **fields: Any) -> None:
        """Say how far the work is; waits while it is to pause, raises `Cancelled` when it is to end."""
        self._unsaid |= {"stage": stage, "current": current, "total": total, "total_growing": False, **fields}
        is_turn = stage != self._stage or current == total  # told at once: a stage begins here, or is done
        if time.monotonic() >= max(self._not_before, 0.0 if is_turn else self._next_at):
            self._push()
        self._stage = stage
        if self._answer.get("pause_requested"):
            self._pause()
        if self._answer.get("cancel_requested"):
            raise Cancelled

    def finish(self, status: str, patience_seconds: float, **fields: Any) -> None:
        """Say how the job ended, again and again until the sidecar has heard it or the patience is used up."""
        self._unsaid |= {"status": status, **fields}
        deadline = time.monotonic() + patience_seconds
        while True:
            time.sleep(max(0.0, min(self._not_before, deadline) - time.monotonic()))
            if self._push() or time.monotonic() >= deadline:
                return

    def _pause(self) -> None:
        """Keep in touch until the work may go on; while the sidecar is away, nobody has allowed that."""
        self._unsaid["status"] = "paused"
        while self._answer.get("pause_requested") and not self._answer.get("cancel_requested"):
            self._push()
            time.sleep(max(PAUSE_CHECK_SECONDS, self._not_before - time.monotonic()))
        self._unsaid["status"] = "running"

    def _push(self) -> bool:
        """Send what is unsaid (if nothing is, that is a sign of life); after a failure wait longer each time."""
        self._seq += 1
        try:
            self._answer = self._post({**self._unsaid, "writer": self._writer, "seq": self._seq})
            wished_seconds = float(self._answer.get("next_update_after_seconds", 0.0))
        except (OSError, http.client.HTTPException, ValueError, TypeError) as error:  # it is away, or refuses
            print(f"sidecar: {type(error).__name__} {error}", file=sys.stderr)
            self._not_before = time.monotonic() + self._retry_seconds
            self._retry_seconds = min(LONGEST_RETRY_SECONDS, 2 * self._retry_seconds)
            return False
        self._unsaid = {}
        self._retry_seconds = FIRST_RETRY_SECONDS
        self._next_at = time.monotonic() + SPACING_SECONDS
        self._not_before = time.monotonic() + wished_seconds
        return True

    def _post(self, report: dict[str, Any]) -> dict[str, Any]:
        body = json.dumps(report, ensure_ascii=False).encode(errors="replace")  # file names need not be text
        try:
            self._connection.request("POST", self._path, body, self._headers)
            response = self._connection.getresponse()
            text = response.read().decode(errors="replace")
        finally:
            self._connection.close()
        if response.status >= http.HTTPStatus.BAD_REQUEST:
            raise OSError(f"{response.status}: {text[:500]}")
        return dict(json.loads(text))


class File(NamedTuple):
    name: str
    kind: str
    size: int
    sha256: str


def scan(root: Path, sidecar: Sidecar, slow_seconds: float) -> list[Path]:
    """Return the regular files below `root`; how many directories there are is known when all have been seen."""
    paths, done, known = list[Path](), 0, 1
    sidecar.report("scanning", done, known, total_growing=True, unit="directories")
    next(root.iterdir(), None)  # raises if the root cannot be read; below it, what can be read is enough
    for directory, names, file_names in os.walk(root):
        names[:] = [name for name in names if not Path(directory, name).is_symlink()]
        candidates = (Path(directory, name) for name in file_names)
        paths += [path for path in candidates if path.is_file() and not path.is_symlink()]
        done, known, found = done + 1, known + len(names), f"{len(paths)} files so far"
        sidecar.report("scanning", done, known, total_growing=done < known, message=found)
        time.sleep(slow_seconds)
    return sorted(paths)


def hash_all(root: Path, paths: list[Path], sidecar: Sidecar, slow_seconds: float) -> list[File]:
    """Read every file that can be read, and count them by kind."""
    shown = {suffix for suffix, _ in Counter(path.suffix for path in paths).most_common(MOST_SUFFIXES)}
    files, counts, total_bytes = [], Counter[str](), 0
    sidecar.report("hashing", 0, len(paths), unit="files")
    for number, path in enumerate(paths):
        name = str(path.relative_to(root))[-200:]
        kind = path.suffix[1:] if path.suffix in shown and path.suffix[1:].isidentifier() else "other"
        digest, size = hashlib.sha256(), 0
        try:
            with path.open("rb") as file:
                while chunk := file.read(CHUNK_BYTES):
                    digest.update(chunk)
                    size += len(chunk)
                    sidecar.report("hashing", number, len(paths), message=name)
            files.append(File(name, kind, size, digest.hexdigest()))
        except OSError:
            kind = "unreadable"
        counts[kind] += 1
        total_bytes += size
        sidecar.report("hashing", number + 1, len(paths), items=dict(counts), metadata={"bytes": total_bytes})
        time.sleep(slow_seconds)
    return files


def summarise(files: list[File], sidecar: Sidecar) -> dict[str, Any]:
    """Return the sizes by kind, the largest files, and which files are the same."""
    sidecar.report("summarising", 0, 2, unit="steps", message="sizes and duplicates")
    sizes, copies = Counter[str](), dict[tuple[int, str], list[str]]()
    for file in files:
        sizes[file.kind] += file.size
        copies.setdefault((file.size, file.sha256), []).append(file.name)
    same = sorted((key for key, names in copies.items() if key[0] and len(names) > 1), reverse=True)
    sidecar.report("summarising", 1, 2, message="largest files")
    largest = sorted(files, key=lambda file: (-file.size, file.name))[:MOST_LISTED]
    sidecar.report("summarising", 2, 2)
    return {
        "files": len(files),
        "bytes": sizes.total(),
        "kinds": dict(sizes.most_common()),
        "largest": [{"name": file.name, "bytes": file.size} for file in largest],
        "duplicates": [{"bytes": key[0], "names": copies[key][:MOST_LISTED]} for key in same[:MOST_LISTED]],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Index a directory tree and report how far that is.")
    parser.add_argument("path", type=Path)
    parser.add_argument("--url", default=os.environ.get("SIDECAR_URL", "http://127.0.0.1:8650"))
    parser.add_argument("--job-id", default=f"index-{secrets.token_hex(8)}")
    parser.add_argument("--project", default="default")
    parser.add_argument("--slow", type=float, default=0.0, help="seconds to rest after each directory and file")
    parser.add_argument("--patience", type=float, default=30.0, help="seconds to try to deliver the end")
    asked = parser.parse_args()
    opening = {"project": asked.project, "job_type": "index-tree", "stages": PLAN, "detail": str(asked.path)}
    sidecar = Sidecar(asked.url, asked.job_id, os.environ.get("SIDECAR_TOKEN", ""), opening)
    try:
        files = hash_all(asked.path, scan(asked.path, sidecar, asked.slow), sidecar, asked.slow)
        result = summarise(files, sidecar)
    except (Cancelled, KeyboardInterrupt):
        sidecar.finish("cancelled", asked.patience)
        return 3
    except Exception as error:
        told = {"message": str(error)[:1_000], "type": type(error).__name__, "context": {"path": str(asked.path)}}
        sidecar.finish("failed", asked.patience, error=told | {"stack": traceback.format_exc()[-8_000:]})
        raise
    sidecar.finish("completed", asked.patience, result=result, message=f"{len(files)} files")
    print(json.dumps(result, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
