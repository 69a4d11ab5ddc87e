/** A proxy before a sidecar that lets some kinds of requests not through, as those of companies do. */

import { once } from "node:events";
import http from "node:http";
import { connect } from "node:net";

/**
 * What happens to a kind of request: `pass`, `refuse` (with the status `refusal`), `hang` (never answered),
 * `cut` (no answer, the connection ends).
 * @typedef {"pass" | "refuse" | "hang" | "cut"} Treatment
 */

/** @param {import("node:test").TestContext} context @param {{port: number}} sidecar */
export async function startProxy(context, sidecar) {
  const proxy = new BlockingProxy(sidecar.port);
  await proxy.listen();
  context.after(() => proxy.stop());
  return proxy;
}

class BlockingProxy {
  /** By kind: `sse`, `websocket`, `rest`. @type {Record<string, Treatment>} */
  treatment = { sse: "pass", websocket: "pass", rest: "pass" };
  refusal = 502;
  /** Every request: its kind, when it came, its URL and its headers. */
  requests = [];
  #port;
  #server = http.createServer((request, response) => this.#serve(request, response));
  #sockets = new Set();
  #frozen = new Set();

  constructor(port) {
    this.#port = port;
    this.#server.on("upgrade", (request, socket, head) => this.#upgrade(request, socket, head));
    this.#server.on("connection", (socket) => this.#keep(socket));
  }

  async listen() {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    this.url = `http://127.0.0.1:${this.#server.address().port}`;
  }

  async stop() {
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }

  /** End every connection that is open now. */
  cut() {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Let nothing through any more on the connections that are open now, which stay open. */
  freeze() {
    for (const source of this.#frozen) source.pause();
  }

  /** @param {string} kind */
  count(kind) {
    return this.requests.filter((request) => request.kind === kind).length;
  }

  #serve(request, response) {
    const kind = request.url.includes("/events") ? "sse" : "rest";
    this.#note(kind, request);
    const treatment = this.treatment[kind];
    if (treatment === "hang") return;
    if (treatment === "cut") return void request.socket.destroy();
    if (treatment === "refuse") return void response.writeHead(this.refusal).end();
    this.#forward(request, response, kind === "sse");
  }

  #forward(request, response, isStream) {
    const { method, url, headers } = request;
    const onward = http.request({
      port: this.#port,
      host: "127.0.0.1",
      method,
      path: url,
      headers,
      agent: false,
    });
    onward.on("response", (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      response.flushHeaders();
      if (isStream) this.#frozen.add(answer);
      answer.on("data", (data) => response.write(data));
      answer.on("end", () => response.end());
      answer.on("error", () => response.destroy());
    });
    onward.on("error", () => response.destroy());
    response.on("close", () => onward.destroy());
    request.pipe(onward);
  }

  #upgrade(request, socket, head) {
    this.#note("websocket", request);
    const treatment = this.treatment.websocket;
    socket.on("error", () => socket.destroy());
    if (treatment === "hang") return;
    if (treatment === "refuse")
      return void socket.end(`HTTP/1.1 ${this.refusal} Refused\r\nContent-Length: 0\r\n\r\n`);
    if (treatment === "cut") return void socket.destroy();
    const onward = this.#keep(connect(this.#port, "127.0.0.1"));
    const lines = Object.entries(request.headers).map(([name, value]) => `${name}: ${value}`);
    onward.write(`GET ${request.url} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`);
    onward.write(head);
    this.#frozen.add(onward);
    onward.on("data", (data) => socket.write(data));
    onward.on("close", () => socket.destroy());
    onward.on("error", () => socket.destroy());
    socket.on("data", (data) => onward.write(data));
    socket.on("close", () => onward.destroy());
  }

  #keep(socket) {
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    return socket;
  }

  #note(kind, { url, headers }) {
    this.requests.push({ kind, url, headers, at: performance.now() });
  }
}
