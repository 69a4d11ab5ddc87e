/** What a page watches, kept in localStorage: after a reload it can take it up again. */

/**
 * @typedef {import("../progress.js").StorageOptions} StorageOptions
 */

/**
 * Keep the id of the active job of one kind.
 * @param {string} project
 * @param {string} jobType
 * @param {string} jobId
 * @param {StorageOptions} [options]
 */
export function remember(project, jobType, jobId, options) {
  quietly(options, (storage) => storage.setItem(key(project, jobType), jobId));
}

/**
 * Return the id that was kept, null if there is none.
 * @param {string} project
 * @param {string} jobType
 * @param {StorageOptions} [options]
 * @returns {string | null}
 */
export function remembered(project, jobType, options) {
  return quietly(options, (storage) => storage.getItem(key(project, jobType))) || null;
}

/**
 * Forget what was kept; with a job id only if it is that one, because another tab may have begun a newer one.
 * @param {string} project
 * @param {string} jobType
 * @param {string} [jobId]
 * @param {StorageOptions} [options]
 */
export function forget(project, jobType, jobId, options) {
  if (jobId !== undefined && remembered(project, jobType, options) !== jobId) return;
  quietly(options, (storage) => storage.removeItem(key(project, jobType)));
}

/** @param {string} project @param {string} jobType */
function key(project, jobType) {
  return `progress-sidecar:active:${project}:${jobType}`;
}

/**
 * A storage may be missing, full or forbidden; nothing depends on it.
 * @template Result
 * @param {StorageOptions | undefined} options
 * @param {(storage: NonNullable<StorageOptions["storage"]>) => Result} act
 * @returns {Result | null}
 */
function quietly(options, act) {
  try {
    const storage = options?.storage === undefined ? globalThis.localStorage : options.storage;
    return storage ? act(storage) : null;
  } catch {
    return null;
  }
}
