/** The live page: what is running now. */

import { LivePage } from "./live_page.js";

await new LivePage().start();
