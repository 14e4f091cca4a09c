// Builds dist/ from src/. What is in dist/ is committed, so that nobody needs Node to serve it; tests/client/test_build.py
// builds it again and compares.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
const common = {
  absWorkingDir: here,
  bundle: true,
  charset: "utf8",
  // Licences of what is bundled stay, at the end of the file.
  legalComments: "eof",
  minify: true,
  outdir: "dist",
  // What browsers of 2021 and later can read.
  target: ["es2020", "chrome90", "firefox90", "safari15"],
};

rmSync(new URL("dist", import.meta.url), { recursive: true, force: true });
// Plain scripts: <script src>.
await build({
  ...common,
  format: "iife",
  // Where a file came from: each kind of script has its own word for that.
  define: { "import.meta.url": "document.currentScript.src" },
  entryPoints: [
    { in: "src/upload/script.ts", out: "thumbstack-upload" },
    { in: "src/image/script.ts", out: "thumbstack-image" },
  ],
});
// The same as ES modules.
await build({
  ...common,
  format: "esm",
  outExtension: { ".js": ".mjs" },
  entryPoints: [
    { in: "src/upload/index.ts", out: "thumbstack-upload" },
    { in: "src/image/index.ts", out: "thumbstack-image" },
  ],
});
// Styles.
await build({
  ...common,
  entryPoints: [{ in: "src/upload/upload.css", out: "thumbstack-upload" }],
});
// The page at /. A new script or style has a new address, so that no browser shows an old one with a new page.
await build({
  ...common,
  // It is for those who run the service and build pages with it.
  target: ["es2022"],
  entryPoints: [
    { in: "src/page/page.ts", out: "thumbstack-page" },
    { in: "src/page/page.css", out: "thumbstack-page" },
  ],
});
const version = (name) =>
  createHash("sha256")
    .update(readFileSync(new URL(`dist/${name}`, import.meta.url)))
    .digest("hex")
    .slice(0, 12);
const page = readFileSync(new URL("src/page/index.html", import.meta.url), "utf8");
writeFileSync(
  new URL("dist/page.html", import.meta.url),
  page.replaceAll(/"client\/(thumbstack-page\.\w+)"/g, (_, name) => `"client/${name}?v=${version(name)}"`),
);
// Types, for those who import the modules.
execFileSync("node_modules/.bin/tsc", ["--project", "tsconfig.build.json"], {
  cwd: here,
  stdio: "inherit",
});
