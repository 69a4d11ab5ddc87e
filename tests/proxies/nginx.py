"""Debian's nginx, with a configuration that a test gives."""

import os
import re
import shutil
from pathlib import Path

import aiohttp

from tests.faults.patience import until_found
from tests.faults.process import Process

SHIPPED = Path(__file__).parents[2] / "docs" / "nginx.conf"
PROGRAM_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"
START_SECONDS = 10.0

MAIN = """
daemon off;
master_process off;
{user}
pid {home}/pid;
error_log stderr;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    {http}
}}
"""


def ordinary(port: int, sidecar_port: int, *lines: str) -> str:
    """Return a server that only forwards, with these lines beside."""
    inside = " ".join([f"listen 127.0.0.1:{port};", *lines])
    return f"server {{ {inside} location / {{ proxy_pass http://127.0.0.1:{sidecar_port}; }} }}"


def shipped(port: int, sidecar_port: int) -> str:
    """Return the configuration of the documentation, at these ports."""
    text = SHIPPED.read_text()
    for theirs, ours in (
        ("listen 80;", f"listen 127.0.0.1:{port};"),
        ("127.0.0.1:8650;", f"127.0.0.1:{sidecar_port};"),
    ):
        assert text.count(theirs) == 1
        text = text.replace(theirs, ours)
    return text


def with_optional_lines(text: str) -> str:
    """Return a configuration with the lines that it only proposes: those after a `#` without a space."""
    return re.sub(r"^( *)#(?=[^ \n])", r"\1", text, flags=re.MULTILINE)


class Nginx(Process):
    """An nginx that holds this inside its `http` block; `port` is where it listens."""

    def __init__(self, home: Path, port: int, http: str) -> None:
        program = shutil.which("nginx", path=PROGRAM_PATH)
        assert program, "these tests need nginx; on Debian: apt-get install nginx"
        home.mkdir(parents=True)
        self.url = f"http://127.0.0.1:{port}"
        user = "user root;" if os.geteuid() == 0 else ""  # else its workers could not enter our directory
        config = home / "nginx.conf"
        config.write_text(MAIN.format(home=home, user=user, http=http))
        super().__init__([program, "-p", str(home), "-c", str(config), "-e", "stderr"], home / "log", home, {})

    async def up(self) -> "Nginx":
        """Start it and wait until it forwards."""
        self.start()
        await until_found(self._answers, START_SECONDS, lambda: f"nginx answers\n{self.last_words()}")
        return self

    async def _answers(self) -> bool:
        self.check()
        try:
            async with aiohttp.request("GET", f"{self.url}/healthz") as answer:
                return answer.status == 200
        except aiohttp.ClientConnectionError:
            return False
