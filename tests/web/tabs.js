/**
 * Tabs of one browser, as far as they concern the client: locks that they share, and ways for a tab to
 * perish.
 */

/** Web Locks for tabs in one process: exclusive ones, with `signal`, `steal` and `ifAvailable`. */
export class SharedLocks {
  /** By name: who holds it, and who waits for it. */
  #queues = new Map();

  /** @returns what is `navigator.locks` in one tab */
  ofTab(tab) {
    return { request: (name, options, callback) => this.#request(tab, name, options, callback) };
  }

  /** What a browser does with the locks of a tab that is no more. */
  releaseAll(tab) {
    for (const queue of this.#queues.values()) {
      const isHolder = queue[0]?.tab === tab;
      queue.splice(0, queue.length, ...queue.filter((each) => each.tab !== tab));
      if (isHolder) this.#grant(queue);
    }
  }

  #request(tab, name, { signal, steal, ifAvailable }, callback) {
    if (!this.#queues.has(name)) this.#queues.set(name, []);
    const queue = this.#queues.get(name);
    if (ifAvailable && queue.length > 0) return Promise.resolve(callback(null));
    return new Promise((resolve, reject) => {
      const request = { tab, callback, resolve, reject, isHeld: false };
      signal?.addEventListener("abort", () => this.#withdraw(queue, request, signal.reason));
      if (steal && queue[0]) queue.shift().reject(new DOMException("stolen", "AbortError"));
      if (steal) queue.unshift(request);
      else queue.push(request);
      queueMicrotask(() => this.#grant(queue));
    });
  }

  #withdraw(queue, request, reason) {
    if (request.isHeld || !queue.includes(request)) return;
    queue.splice(queue.indexOf(request), 1);
    request.reject(reason);
  }

  async #grant(queue) {
    const request = queue[0];
    if (!request || request.isHeld) return;
    request.isHeld = true;
    const result = await request.callback({});
    if (queue[0] !== request) return; // stolen, or its tab is no more
    queue.shift();
    request.resolve(result);
    this.#grant(queue);
  }
}

/** One tab: what the client takes from it, and what may befall it. */
export class Tab {
  #locks;
  #channels = [];
  #sources = [];

  constructor(locks, EventSource) {
    this.#locks = locks;
    const { channels, sources } = { channels: this.#channels, sources: this.#sources };
    this.page = new EventTarget();
    this.options = {
      page: this.page,
      locks: locks.ofTab(this),
      BroadcastChannel: class extends BroadcastChannel {
        constructor(name) {
          super(name);
          channels.push(this);
        }
      },
      EventSource: class extends EventSource {
        constructor(url) {
          super(url);
          sources.push(this);
        }
      },
    };
  }

  get hasStream() {
    return this.#sources.some((source) => source.readyState !== source.CLOSED);
  }

  /**
   * Neither say nor hear anything any more, but keep the lock and the connection, as a tab that hangs does.
   */
  hang() {
    for (const channel of this.#channels) {
      channel.onmessage = null;
      channel.postMessage = () => {};
    }
  }

  /** Be closed by the browser, without a word. */
  die() {
    this.hang();
    for (const source of this.#sources) source.close();
    this.#locks.releaseAll(this);
  }
}
