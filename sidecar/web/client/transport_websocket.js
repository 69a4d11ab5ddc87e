/** One WebSocket with one watch on it. */

/** @typedef {import("./transport_sse.js").Listener} Listener */

/**
 * Open it, and return what closes it.
 * @param {any} WebSocket
 * @param {string} url
 * @param {{watch: object, after: string | null}} request what is sent first
 * @param {Listener} listener
 * @returns {() => void}
 */
export function openWebSocket(WebSocket, url, request, listener) {
  const socket = new WebSocket(url);
  let isOver = false;
  /** @param {"lost" | "refused" | null} reason */
  const end = (reason) => {
    if (isOver) return;
    isOver = true;
    socket.close();
    if (reason) listener.onBroken(reason);
  };
  socket.addEventListener("open", () => !isOver && socket.send(JSON.stringify(request)));
  socket.addEventListener("message", (/** @type {MessageEvent} */ message) => {
    if (isOver) return;
    const { event: name, data, cursor } = JSON.parse(message.data);
    if (name === "error") end("refused");
    else listener.onEvent({ name, data, cursor: (name === "synced" ? data.cursor : cursor) ?? null });
  });
  socket.addEventListener("error", () => end("lost"));
  socket.addEventListener("close", () => end("lost"));
  return () => end(null);
}
