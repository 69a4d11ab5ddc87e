/** The npm package `eventsource`, a client that knows nothing of the sidecar, follows a job to its end. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { after, before, test } from "node:test";
import { EventSource } from "eventsource";
import { startSidecar, until } from "./sidecar.js";

let sidecar;
before(async () => {
  sidecar = await startSidecar();
});
after(() => sidecar.stop());

/** Open an `EventSource` that keeps what it hears, and closes at the end of the test. */
function watch(context, path, origin = sidecar.url) {
  const source = new EventSource(origin + path);
  context.after(() => source.close());
  const heard = { source, connected: [], progress: [], done: [], ids: [], errors: [] };
  for (const name of ["connected", "progress", "done"]) {
    source.addEventListener(name, (event) => {
      heard[name].push(JSON.parse(event.data));
      if (event.lastEventId) heard.ids.push(event.lastEventId);
    });
  }
  source.addEventListener("error", (error) => heard.errors.push(error));
  return heard;
}

/** Stand between a client and a port; `cut` resets whoever is connected. */
async function lineTo(context, port) {
  const sockets = new Set();
  const server = createServer((client) => {
    const upstream = connect(port, "127.0.0.1");
    for (const [one, other] of [[client, upstream], [upstream, client]]) {
      sockets.add(one);
      one.on("error", () => other.destroy()).on("close", () => other.destroy()).pipe(other);
    }
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = () => sockets.forEach((socket) => socket.destroy());
  context.after(() => server.close(cut()));
  return { url: `http://127.0.0.1:${server.address().port}`, cut };
}

test("follows a job to its end, and stops asking there", async (context) => {
  await sidecar.push("whole", { current: 0, total: 4 });
  const heard = watch(context, "/v1/jobs/whole/events");
  for (const current of [1, 2, 3, 4]) {
    await sidecar.push("whole", { current });
    await until(() => heard.progress.at(-1)?.current === current, `progress ${current} is heard`);
  }

  await sidecar.push("whole", { status: "completed" });

  await until(() => heard.done.length > 0, "the end is heard");
  await until(() => heard.source.readyState === EventSource.CLOSED, "the answer 204 ends it for good");
  assert.equal(heard.done[0].job.percent, 100);
  assert.equal(heard.done.length, 1);
  assert.deepEqual(heard.errors.map((error) => error.code).filter(Boolean), [204]);
});

test("after a cut hears what it missed, and nothing twice", async (context) => {
  await sidecar.push("cut", { current: 1, total: 4 });
  const line = await lineTo(context, sidecar.port);
  const heard = watch(context, "/v1/jobs/cut/events", line.url);
  await until(() => heard.progress.at(-1)?.current === 1, "the first progress is heard");

  line.cut();
  await sidecar.push("cut", { current: 3 });
  await sidecar.push("cut", { status: "completed" });

  await until(() => heard.done.length > 0, "the end is heard");
  assert.deepEqual(heard.connected.map((each) => each.recovered), [false, true]);
  assert.equal(new Set(heard.ids).size, heard.ids.length);
  assert.equal(heard.done[0].job.percent, 100);
});

test("survives a restart of the sidecar", async (context) => {
  await sidecar.push("restart", { current: 1, total: 4 });
  const heard = watch(context, "/v1/jobs/restart/events");
  await until(() => heard.progress.at(-1)?.current === 1, "the first progress is heard");

  await sidecar.restart();
  await sidecar.push("restart", { current: 3 });

  await until(() => heard.progress.at(-1)?.current === 3, "what was pushed after the restart is heard");
  await sidecar.push("restart", { status: "completed" });
  await until(() => heard.done.length > 0, "the end is heard");
  assert.equal(heard.connected.length, 2);
});

test("what a whole project does arrives on one connection", async (context) => {
  const heard = watch(context, "/v1/events?project=many");
  await until(() => heard.connected.length > 0, "the stream is open");

  await Promise.all(
    ["a", "b", "c"].map(async (jobId) => {
      await sidecar.push(jobId, { project: "many", current: 1, total: 2 });
      await sidecar.push(jobId, { status: "completed" });
    }),
  );

  await until(() => heard.done.length === 3, "all three ends are heard");
  assert.deepEqual(heard.done.map((each) => each.job_id).sort(), ["a", "b", "c"]);
});
