/** The live page: what is running now. */

import { LivePage } from "./page.js";

await new LivePage().start();
