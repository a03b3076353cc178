// Holds the sources to the structure that docs/ARCHITECTURE.md draws: no circle of imports between files or folders,
// imports between crates that point down only, and files that can be read in one go. `make lint` runs it.
//
// A file `foo.rs` and the folder `foo/` are one module: inside of it they may know each other. Side by side, in every
// folder, modules with all that lies in them must not form a circle.
import { existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { arrows, circles, isInside, levels, modules, sources } from "./structure/graph.mjs";

/** Lines that a file may have. */
const LINES = 400;

/** Files that may be longer, and why. */
const TABLES = {};

/** The crates from the bottom up, and which of ours each may use. */
const FLOORS = {
  "virboard-core": [],
  "virboard-nn": ["virboard-core"],
  "virboard-lab": ["virboard-core", "virboard-nn"],
  "virboard-app": ["virboard-core"],
  virboard: ["virboard-core", "virboard-nn", "virboard-lab", "virboard-app"],
};

/** What networks may know of the benchmark: plain data, and nothing of tasks, data sets and scores. */
const PLAIN = { of: "virboard-core", to: "virboard-nn", names: ["Architecture", "Format", "Protocol"] };

/** Where crates that decide a layer may be used: anywhere below these places. */
const HOMES = [
  { crates: ["sqlx"], places: ["server/src/store"] },
  { crates: ["axum", "axum_extra", "tower", "tower_http", "utoipa", "utoipa_axum", "hyper", "hyper_util"], places: ["server/src/http", "server/src/cli/serve.rs"] },
  { crates: ["candle_core", "candle_nn", "candle_transformers"], places: ["server/nn", "server/lab"] },
  { crates: ["leptos", "leptos_axum", "leptos_meta", "leptos_router", "maud"], places: ["app/src", "server/src/http"] },
  { crates: ["clap", "indicatif"], places: ["server/src/cli", "server/src/main.rs"] },
];

/** All that is wrong below the folder `root`, a sentence each. */
export function check(root, rules = { FLOORS, PLAIN, HOMES, TABLES, LINES }) {
  const wrong = [];
  const members = /members\s*=\s*\[([^\]]*)\]/.exec(readFileSync(join(root, "Cargo.toml"), "utf8"))[1].match(/[^"\s,]+/g);
  for (const member of members) {
    const manifest = readFileSync(join(root, member, "Cargo.toml"), "utf8");
    const crate = /^name\s*=\s*"([^"]+)"/m.exec(manifest)[1];
    const below = rules.FLOORS[crate];
    if (!below) {
      wrong.push(`${member}: the crate ${crate} has no floor; give it one in scripts/check-structure.mjs`);
      continue;
    }
    for (const [, used] of manifest.matchAll(/^([\w-]+)\s*[.=]/gm)) {
      if (used in rules.FLOORS && used !== crate && !below.includes(used)) wrong.push(`${member}/Cargo.toml: ${crate} must not depend on ${used}`);
    }
    const all = modules(join(root, member, "src"), root);
    const found = arrows(all);
    wrong.push(...circlesOf(all, found.arrows), ...strangers(crate, all, found.foreign, rules));
    for (const place of ["src", "tests", "benches"].map((p) => join(member, p)).filter((p) => existsSync(join(root, p)))) {
      wrong.push(...lengths(root, place, rules));
    }
  }
  for (const table of Object.keys(rules.TABLES)) {
    if (existsSync(join(root, table)) && linesOf(join(root, table)) <= rules.LINES) {
      wrong.push(`${table}: is not longer than ${rules.LINES} lines; take it off the list of long files`);
    }
  }
  return wrong;
}

function circlesOf(all, found) {
  return levels(found).flatMap(({ edges }) =>
    circles(edges).map((group) => {
      const inside = (m) => group.find((g) => g === m || isInside(m, g));
      const ties = found.filter((a) => inside(a.from) && inside(a.to) && inside(a.from) !== inside(a.to));
      const shown = [...new Map(ties.map((t) => [`${inside(t.from)}>${inside(t.to)}`, t])).values()];
      const why = shown.map((t) => `  ${all.get(t.from).file} takes ${t.name} from ${all.get(t.to).file}`);
      return [`a circle: ${group.join(", ")}`, ...why].join("\n");
    }),
  );
}

function strangers(crate, all, foreign, { FLOORS, PLAIN, HOMES }) {
  const ours = new Map(Object.keys(FLOORS).map((c) => [c.replaceAll("-", "_"), c]));
  const wrong = new Set();
  for (const { from, path } of foreign) {
    const { file } = all.get(from);
    const used = ours.get(path[0]);
    if (used && used !== crate && !FLOORS[crate].includes(used)) wrong.add(`${file}: ${crate} must not use ${used} (${path.join("::")})`);
    if (used === PLAIN.of && crate === PLAIN.to && !PLAIN.names.some((n) => path.includes(n))) {
      wrong.add(`${file}: ${crate} must know nothing of ${path.join("::")}`);
    }
    for (const home of HOMES.filter((h) => h.crates.includes(path[0]))) {
      if (!home.places.some((p) => file.startsWith(p))) wrong.add(`${file}: ${path[0]} belongs into ${home.places.join(" or ")} alone`);
    }
  }
  return wrong;
}

const linesOf = (file) => readFileSync(file, "utf8").split("\n").length - 1;

function lengths(root, place, { LINES, TABLES }) {
  return sources(join(root, place))
    .map((f) => join(place, f))
    .filter((f) => !TABLES[f] && linesOf(join(root, f)) > LINES)
    .map((f) => `${f}: ${linesOf(join(root, f))} lines, more than ${LINES}; cut it by noun`);
}

if (basename(process.argv[1] ?? "") === "check-structure.mjs") {
  const wrong = check(".");
  for (const sentence of wrong) console.error(sentence);
  console.log(wrong.length ? `structure: ${wrong.length} to mend` : "structure: no circles, all imports point down");
  process.exit(wrong.length ? 1 : 0);
}
