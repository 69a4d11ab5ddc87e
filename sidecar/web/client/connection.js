/** The sidecar that a caller means, and how it is asked. */

import { Address } from "./address.js";
import { environment } from "./environment.js";
import { Requests } from "./requests.js";
import { ServerTime } from "./server_time.js";

/**
 * @param {import("../progress.js").ConnectionOptions} options
 * @returns {import("./streams.js").Connection}
 */
export function connect(options) {
  const surroundings = environment(options);
  const address = new Address(options.url, options.link);
  const time = new ServerTime();
  const requests = new Requests(surroundings, address, time, options);
  return { environment: surroundings, address, requests, time };
}
