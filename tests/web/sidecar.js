/** A sidecar with stores of its own, as the tests here use it: real, restartable, and gone at the end. */

import { spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, open, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const CHECKOUT = fileURLToPath(new URL("../..", import.meta.url));
const START_MILLISECONDS = 30_000;
const FIRST_PORT = 10_000;

/** The Python that runs it; SIDECAR_PYTHON names another one. */
const python = process.env.SIDECAR_PYTHON ?? join(CHECKOUT, ".venv/bin/python");

const running = new Set();
process.once("SIGTERM", () => process.exit(1));
process.once("exit", () => running.forEach((child) => child.kill("SIGKILL")));

/**
 * Start a sidecar; `{port, settings: {heartbeat_seconds: 1}}` are what it is told. End it with `stop`.
 * @param {{port?: number, settings?: Record<string, string | number>}} [options]
 * @returns {Promise<Sidecar>}
 */
export async function startSidecar({ port, settings = {} } = {}) {
  const home = await mkdtemp(join(tmpdir(), "sidecar-node-"));
  const sidecar = new Sidecar(port ?? (await freePort()), home, settings);
  try {
    await sidecar.start();
  } catch (error) {
    await sidecar.stop();
    throw error;
  }
  return sidecar;
}

/**
 * @returns {Promise<number>} a port of 127.0.0.1 on which nobody listens now, and which no client is ever given: it would
 * be in the way when a server that was away comes back
 */
export async function freePort() {
  const [ephemeral] = (await readFile("/proc/sys/net/ipv4/ip_local_port_range", "ascii")).split(/\s/);
  for (;;) {
    const port = randomInt(FIRST_PORT, Number(ephemeral));
    const server = createServer();
    const isFree = await new Promise((resolve) => {
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => resolve(true));
    });
    if (!isFree) continue;
    server.close();
    await once(server, "close");
    return port;
  }
}

/**
 * Wait until something holds.
 * @param {() => unknown} holds
 * @param {string} what says what was waited for, when it does not hold in time
 * @param {number} [milliseconds]
 */
export async function until(holds, what, milliseconds = 15_000) {
  const deadline = Date.now() + milliseconds;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`not within ${milliseconds} ms: ${what}`);
    await pause(20);
  }
}

export class Sidecar {
  #home;
  #settings;
  #child = null;

  constructor(port, home, settings) {
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    this.#home = home;
    this.#settings = settings;
  }

  /** Start it, on the data that are there, and wait until it listens. */
  async start() {
    if (!existsSync(python)) throw new Error(`${python} is not there: make test-node sets it up`);
    const log = await open(join(this.#home, "log"), "a");
    this.#child = spawn(python, ["-m", "sidecar", "serve"], {
      cwd: CHECKOUT,
      env: this.#environment(),
      stdio: ["ignore", log.fd, log.fd],
    });
    running.add(this.#child);
    await log.close();
    await until(() => this.#isReady(), "the sidecar listens", START_MILLISECONDS);
  }

  /** End it at once, as a power cut would. */
  async kill() {
    const child = this.#child;
    if (child?.exitCode === null && child.signalCode === null) {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
    running.delete(child);
  }

  /** Kill it and start it again on the same port, with the same data. */
  async restart() {
    await this.kill();
    await this.start();
  }

  /** End it for good and remove its data. */
  async stop() {
    await this.kill();
    await rm(this.#home, { recursive: true, force: true, maxRetries: 10 });
  }

  /**
   * Report progress as a worker does, and return the answer.
   * @param {string} jobId
   * @param {object} fields
   * @returns {Promise<any>}
   */
  async push(jobId, fields) {
    return this.#json(`/v1/jobs/${jobId}`, { method: "POST", body: JSON.stringify(fields) });
  }

  /**
   * Return the job as anyone reads it.
   * @param {string} jobId
   * @returns {Promise<any>}
   */
  async job(jobId) {
    return this.#json(`/v1/jobs/${jobId}`);
  }

  async #json(path, options) {
    const headers = { "Content-Type": "application/json" };
    const answer = await fetch(this.url + path, { headers, signal: AbortSignal.timeout(10_000), ...options });
    if (!answer.ok) throw new Error(`${path}: ${answer.status}: ${await answer.text()}`);
    return answer.json();
  }

  async #isReady() {
    if (this.#child.exitCode !== null) throw new Error(await readFile(join(this.#home, "log"), "utf8"));
    const answer = await fetch(`${this.url}/healthz`, { signal: AbortSignal.timeout(2000) }).catch(() => null);
    await answer?.arrayBuffer();
    return answer?.ok ?? false;
  }

  #environment() {
    const plain = Object.entries(process.env).filter(([name]) => !name.startsWith("SIDECAR_"));
    const given = { data_dir: join(this.#home, "data"), listen_port: this.port, drain_seconds: 0, ...this.#settings };
    const named = Object.entries(given).map(([name, value]) => [`SIDECAR_${name.toUpperCase()}`, String(value)]);
    return Object.fromEntries([...plain, ...named]);
  }
}
