"""What cannot run says why, in a sentence, and ends."""

from pathlib import Path

from tests.running import refused, running
from tests.servers.ports import free_port


async def test_taken_port_is_told_in_a_sentence(tmp_path: Path) -> None:
    async with running(tmp_path / "one") as sidecar:
        port = sidecar.url.rpartition(":")[2]
        code, errors = await refused(data_dir=tmp_path / "two", listen_port=port)
    assert code == 1
    assert f"port {port} on 127.0.0.1 is taken" in errors
    assert "Traceback" not in errors


async def test_taken_data_directory_is_told_in_a_sentence(tmp_path: Path) -> None:
    async with running(tmp_path) as sidecar:
        code, errors = await refused(data_dir=tmp_path, listen_port=0)
        assert code == 1
        assert f"in use by another sidecar (process {sidecar.process.pid})" in errors
        assert "Traceback" not in errors


async def test_unusable_data_directory_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, errors = await refused(data_dir=tmp_path / "file" / "below", listen_port=0)
    assert code == 1
    assert "cannot be used" in errors
    assert "SIDECAR_DATA_DIR" in errors
    assert "Traceback" not in errors


async def test_no_store_at_all_is_told_in_a_sentence(tmp_path: Path) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    code, errors = await refused(
        data_dir=tmp_path, redis_url=f"redis://{nowhere}/0", database_url=f"postgresql://{nowhere}/progress"
    )
    assert code == 1
    assert "neither store can be reached" in errors
    assert "Traceback" not in errors


async def test_bad_settings_are_named_one_by_one() -> None:
    code, errors = await refused(redis_url="http://redis", listen_port="high", listen_hosts="::1")
    assert code == 2
    for variable in ("SIDECAR_REDIS_URL", "SIDECAR_LISTEN_PORT", "SIDECAR_LISTEN_HOSTS"):
        assert variable in errors
    assert "Traceback" not in errors
