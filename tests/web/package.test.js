/** The npm package: complete, without dependencies, and of the types that it says. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { installed } from "./packed.js";

const SOURCE = fileURLToPath(new URL("../../sidecar/web/", import.meta.url));
const TSC = fileURLToPath(new URL("node_modules/typescript/bin/tsc", import.meta.url));
const REACT = fileURLToPath(new URL("node_modules/@types/react", import.meta.url));
const OPTIONS = {
  ...{ noEmit: true, strict: true, target: "ES2022", lib: ["ES2022", "DOM", "DOM.Iterable"] },
  ...{ module: "ES2022", moduleResolution: "Bundler", types: [], paths: { react: [REACT] } },
};

let packed;
before(async () => {
  packed = await installed();
});

/** Compile with these options and files, and return what is wrong. */
function wrong(name, compilerOptions, files) {
  const project = join(packed.home, name);
  writeFileSync(project, JSON.stringify({ compilerOptions: { ...OPTIONS, ...compilerOptions }, files }));
  return spawnSync(process.execPath, [TSC, "-p", project], { encoding: "utf8", timeout: 60_000 }).stdout;
}

test("everything that a module imports is in the package, and nothing else is imported", () => {
  const modules = packed.files.filter((file) => file.endsWith(".js"));
  for (const module of modules) {
    const text = readFileSync(join(SOURCE, module), "utf8");
    const imported = [...text.matchAll(/^(?:import|export) .* from "(.+)";$/gm)].map((match) => match[1]);
    for (const name of imported) {
      assert.ok(
        name.startsWith(".") ? modules.includes(posix.join(dirname(module), name)) : module === "react.js",
        `${module}: ${name}`,
      );
    }
  }
});

test("the modules of the client name no address but the sidecar's own", () => {
  for (const module of packed.files.filter((file) => /\.(js|ts)$/.test(file))) {
    const text = readFileSync(join(SOURCE, module), "utf8");
    const addresses = [...text.matchAll(/\b(?:https?|wss?):\/\/[\w.-]+/g)].map((match) => match[0]);
    assert.deepEqual(
      addresses.filter((address) => !address.endsWith("127.0.0.1")),
      [],
      module,
    );
  }
});

test("its licence and version are those of the project", () => {
  const { license, version } = JSON.parse(readFileSync(join(SOURCE, "package.json"), "utf8"));
  const project = readFileSync(join(SOURCE, "../../pyproject.toml"), "utf8");
  assert.ok(project.includes(`\nversion = "${version}"\n`) && project.includes(`\nlicense = "${license}"\n`));
  assert.ok(packed.files.includes("README.md"));
});

test("a program in TypeScript gets the types that it expects", () => {
  const sample = join(packed.home, "sample.ts");
  copyFileSync(fileURLToPath(new URL("sample.ts", import.meta.url)), sample);
  assert.equal(wrong("tsconfig.json", {}, [sample]), "");
});

test("the modules themselves keep to their types", () => {
  const names = packed.files.filter((name) => /\.(js|ts)$/.test(name));
  const files = names.map((name) => join(SOURCE, name));
  assert.equal(wrong("tsconfig.sources.json", { allowJs: true, checkJs: true }, files), "");
});

test("it offers what its page says", () => {
  const { progress, smooth, react } = packed.modules;
  assert.deepEqual(Object.keys(progress).sort(), [
    "forget",
    "remember",
    "remembered",
    "watch",
    "watchJobs",
    "watchRemembered",
  ]);
  assert.equal(typeof smooth.smoothBar, "function");
  assert.equal(typeof react.useProgress, "function");
});
