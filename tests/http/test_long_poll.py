"""A request that waits until a job is newer than what the client has heard."""

from tests.http.conftest import Sidecar
from tests.http.test_watch_project import until_synced, watching


async def test_the_word_of_what_the_client_has_heard_already_does_not_wake_it(sidecar: Sidecar) -> None:
    """The word of a change reaches the process after its answer, and with others watching it is listened for."""
    async with watching(sidecar) as stream:
        await until_synced(stream)
        for number in range(100):
            cursor = (await sidecar.push("j", current=number))["cursor"]
            async with sidecar.client.get(f"/v1/jobs/j?after={cursor}&wait=0.05") as response:
                assert response.status == 204, (await response.json())["cursor"] == cursor
