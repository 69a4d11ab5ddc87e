/** The npm package as it would be published, installed beside what the tests have from npm. */

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const SOURCE = fileURLToPath(new URL("../../sidecar/web", import.meta.url));
const MODULES = fileURLToPath(new URL("node_modules", import.meta.url));
const ENTRY = `
export * as progress from "progress-sidecar";
export * as smooth from "progress-sidecar/smooth";
export * as react from "progress-sidecar/react";
`;

/**
 * Pack and install it; return where its user's file is, and what that file imports. It is gone when the
 * process ends.
 * @returns {Promise<{home: string, files: string[], modules: any}>}
 */
export async function installed() {
  const home = mkdtempSync(join(MODULES, ".packed-"));
  process.once("exit", () => rmSync(home, { recursive: true, force: true }));
  const options = ["--json", "--offline", "--ignore-scripts", "--pack-destination", home];
  const [packed] = JSON.parse(execFileSync("npm", ["pack", ...options], { cwd: SOURCE, timeout: 60_000 }));
  const place = join(home, "node_modules/progress-sidecar");
  mkdirSync(place, { recursive: true });
  execFileSync("tar", ["-xzf", join(home, packed.filename), "-C", place, "--strip-components=1"]);
  writeFileSync(join(home, "package.json"), '{"type": "module"}');
  writeFileSync(join(home, "user.js"), ENTRY);
  const files = packed.files.map((file) => file.path);
  return { home, files, modules: await import(pathToFileURL(join(home, "user.js")).href) };
}
