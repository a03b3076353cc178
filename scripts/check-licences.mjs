// Reads `cargo metadata` and fails if a dependency's licence is not allowed by deny.toml.
import { readFileSync } from "node:fs";

const text = readFileSync(process.argv[2], "utf8");
const list = /allow\s*=\s*\[([^\]]*)\]/.exec(text);
if (!list) throw new Error(`${process.argv[2]} has no list of allowed licences`);
const allowed = new Set([...list[1].matchAll(/"([^"]+)"/g)].map((m) => m[1]));

// A licence expression holds if it is allowed: OR needs one side, AND both.
function holds(expression) {
  const tokens = expression.replaceAll("/", " OR ").match(/[()]|[^\s()]+/g) ?? [];
  let at = 0;
  const any = () => {
    let value = all();
    while (tokens[at] === "OR") { at++; const right = all(); value = value || right; }
    return value;
  };
  const all = () => {
    let value = one();
    while (tokens[at] === "AND") { at++; const right = one(); value = value && right; }
    return value;
  };
  const one = () => {
    if (tokens[at] === "(") { at++; const value = any(); at++; return value; }
    const name = tokens[at++];
    if (tokens[at] === "WITH") { at++; return allowed.has(`${name} WITH ${tokens[at++]}`) || allowed.has(name); }
    return allowed.has(name);
  };
  return any();
}

const packages = JSON.parse(readFileSync(0, "utf8")).packages.filter((p) => p.source);
const bad = packages.filter((p) => !(p.license && holds(p.license)));
for (const p of bad) console.error(`${p.name} ${p.version}: licence ${p.license ?? "unknown"} is not allowed by deny.toml`);
console.log(`${packages.length} dependencies, ${bad.length} with a licence that is not allowed`);
process.exit(bad.length ? 1 : 0);
