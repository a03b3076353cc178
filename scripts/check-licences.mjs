// Reads `cargo metadata` and fails if deny.toml does not allow a dependency: for its licence, because it comes from
// elsewhere than the registry, or because it is there in a second version. For machines without cargo-deny.
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

const skipped = [...text.matchAll(/crate = "([^@"]+)@([^"]+)"/g)].map(([, name, version]) => ({ name, version }));
const isSkipped = (p) => skipped.some((s) => s.name === p.name && `${p.version}.`.startsWith(`${s.version}.`));
const registries = [...(/allow-registry\s*=\s*\[([^\]]*)\]/.exec(text)?.[1] ?? "").matchAll(/"([^"]+)"/g)].map((m) => `registry+${m[1]}`);

// The lines of `cargo tree`: "name v1.2.3", and where it is from or what it is.
const used = new Set(readFileSync(process.argv[3], "utf8").split("\n").map((line) => line.split(" ").slice(0, 2).join(" ")));
const packages = JSON.parse(readFileSync(0, "utf8")).packages.filter((p) => p.source && used.has(`${p.name} v${p.version}`));
const wrong = [];
const kept = new Map();
for (const p of packages) {
  const name = `${p.name} ${p.version}`;
  if (!(p.license && holds(p.license))) wrong.push(`${name}: licence ${p.license ?? "unknown"} is not allowed by deny.toml`);
  if (!registries.includes(p.source)) wrong.push(`${name}: comes from ${p.source}, which deny.toml does not allow`);
  if (isSkipped(p)) continue;
  if (kept.has(p.name)) wrong.push(`${name}: is there in version ${kept.get(p.name)} too; use one, or give a reason in deny.toml`);
  kept.set(p.name, p.version);
}
for (const sentence of wrong) console.error(sentence);
console.log(`${packages.length} dependencies, ${wrong.length} not allowed by deny.toml`);
process.exit(wrong.length ? 1 : 0);
