/**
 * How many event streams the tabs of one origin hold at a time. A browser opens at most six HTTP/1.1
 * connections to a server, over all tabs, and WebSockets are not among them: who finds no place takes one.
 */

/** Two are left for everything else that the tabs ask for. */
export const MOST_STREAMS = 4;

const NOT_COUNTED = () => {};

/**
 * Take a place; return what gives it back, null if all are taken. Without locks nobody counts.
 * @param {Pick<LockManager, "request"> | null} locks
 * @param {string} base of the sidecar
 * @returns {Promise<(() => void) | null>}
 */
export async function takePlace(locks, base) {
  if (!locks) return NOT_COUNTED;
  for (let number = 1; number <= MOST_STREAMS; number++) {
    const leave = await take(locks, `progress-sidecar ${base} stream ${number}`);
    if (leave) return leave;
  }
  return null;
}

/**
 * @param {Pick<LockManager, "request">} locks
 * @param {string} name
 * @returns {Promise<(() => void) | null>}
 */
function take(locks, name) {
  return new Promise((resolve) => {
    /** @param {unknown} lock @returns {Promise<void> | undefined} kept until it is given back */
    const hold = (lock) => {
      if (lock) return new Promise((leave) => resolve(leave));
      resolve(null);
      return undefined;
    };
    locks.request(name, { ifAvailable: true }, hold).catch(() => resolve(NOT_COUNTED)); // there are none here
  });
}
