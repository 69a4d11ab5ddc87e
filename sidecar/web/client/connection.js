/** The sidecar that a caller means, and how it is asked. */

import { Address } from "./address.js";
import { environment } from "./environment.js";
import { Requests } from "./requests.js";

/**
 * @param {import("../progress.js").ConnectionOptions} options
 * @returns {import("./streams.js").Connection}
 */
export function connect(options) {
  const surroundings = environment(options);
  const address = new Address(options.url, options.link);
  return { environment: surroundings, address, requests: new Requests(surroundings, address, options) };
}
