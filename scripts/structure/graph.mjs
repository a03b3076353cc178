// Who imports whom: arrows between the files of one crate, and circles of them.
import { readFileSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { names } from "./rust.mjs";

/** All `.rs` files below a folder, as paths from it. */
export function sources(folder) {
  return readdirSync(folder, { recursive: true })
    .map(String)
    .filter((f) => f.endsWith(".rs"))
    .sort();
}

/** The modules of a crate by their path ("a::b", "" for the root), read from its `src` folder. */
export function modules(src, root = ".") {
  const found = new Map();
  for (const file of sources(src)) {
    const path = file.replace(/\.rs$/, "").split(/[\\/]/).filter((p) => p !== "mod");
    const top = path.length === 1 && (path[0] === "lib" || path[0] === "main");
    // A program beside a library is a crate of its own, which nothing imports.
    const key = top ? (path[0] === "lib" ? "" : "main") : path.join("::");
    found.set(key, { file: relative(root, join(src, file)), source: join(src, file), ...names(readFileSync(join(src, file), "utf8")) });
  }
  if (!found.has("") && found.has("main")) {
    found.set("", found.get("main"));
    found.delete("main");
  }
  return found;
}

/**
 * Arrows of a crate: `{ from, to, name }`, modules both, from every file to those which define what it names. A path
 * through a name that another file only passes on (`pub use`) leads to where that name is from. Also `foreign`: the
 * paths into other crates, as `{ from, path }`.
 */
export function arrows(all) {
  const found = [];
  const foreign = [];
  const children = (module) => (module === "" ? [] : module.split("::"));
  const isModule = (path) => all.has(path.join("::"));

  // The module and the name in it for a path that is absolute within the crate.
  function locate(path, seen = new Set()) {
    let depth = 0;
    while (depth < path.length && isModule(path.slice(0, depth + 1))) depth++;
    const module = path.slice(0, depth).join("::");
    const name = path[depth];
    if (name === undefined) return { module, whole: true };
    const key = `${module} ${name}`;
    if (!seen.has(key)) {
      seen.add(key);
      const entry = all.get(module);
      const passed = entry.imports.filter((i) => i.inner.length === 0);
      for (const i of passed.filter((i) => i.name === name)) {
        const target = absolute(module, i.path, i.inner);
        if (target) return locate([...target, ...path.slice(depth + 1)], seen);
      }
      for (const i of passed.filter((i) => i.name === "*" && i.shared)) {
        const target = absolute(module, i.path, i.inner);
        if (target && !defines(module, name) && defines(target.join("::"), name)) return locate([...target, ...path.slice(depth)], seen);
      }
    }
    return { module, name };
  }

  function defines(module, name) {
    const entry = all.get(module);
    if (!entry) return false;
    entry.text ??= readFileSync(entry.source, "utf8");
    return new RegExp(`\\b(struct|enum|trait|fn|const|static|type|mod|macro_rules!|union)\\s+${name}\\b`).test(entry.text) || entry.imports.some((i) => i.name === name);
  }

  // A path as it stands in a module, absolute within the crate; null if it leads out of it.
  function absolute(module, path, inner) {
    const here = [...children(module), ...inner];
    if (path[0] === "crate") return path.slice(1);
    if (path[0] === "self") return [...here, ...path.slice(1)];
    if (path[0] === "super") {
      const up = path.findIndex((p) => p !== "super");
      const count = up < 0 ? path.length : up;
      return [...here.slice(0, here.length - count), ...path.slice(count)];
    }
    if (isModule([...children(module), path[0]])) return [...children(module), ...path];
    return null;
  }

  for (const [from, entry] of all) {
    const add = (target, name) => {
      const to = locate(target);
      if (to.module !== from && all.has(to.module)) found.push({ from, to: to.module, name: to.name ?? name });
      return to;
    };
    const used = new Set();
    const whole = [];
    const alias = new Map(entry.imports.filter((i) => i.name !== "*").map((i) => [i.name, i]));
    for (const { path, inner } of entry.paths) {
      const target = absolute(from, path, inner);
      if (target) { add(target, path.at(-1)); continue; }
      const through = alias.get(path[0]);
      if (!through) { foreign.push({ from, path }); continue; }
      used.add(path[0]);
      const base = absolute(from, through.path, through.inner);
      if (base) add([...base, ...path.slice(1)], path.at(-1));
      else foreign.push({ from, path: [...through.path, ...path.slice(1)] });
    }
    for (const i of entry.imports) {
      const target = absolute(from, i.path, i.inner);
      if (!target) { foreign.push({ from, path: i.path }); continue; }
      const to = locate(target);
      // Passing on what lies inside of this module is no use of it.
      if (i.shared && isInside(to.module, from)) continue;
      // A module that is imported whole is used through the paths that begin with its name.
      if (to.whole && i.name !== "*" && used.has(i.name)) continue;
      if (to.whole) whole.push(to.module);
      add(target, i.path.at(-1));
    }
  }
  return { arrows: found, foreign };
}

/** Whether a module lies inside of another one. */
export function isInside(module, outer) {
  return outer === "" ? module !== "" : module.startsWith(`${outer}::`);
}

/** Groups of nodes that reach each other (Tarjan), those of two or more. */
export function circles(edges) {
  const next = new Map();
  for (const [a, b] of edges) {
    if (!next.has(a)) next.set(a, new Set());
    if (!next.has(b)) next.set(b, new Set());
    next.get(a).add(b);
  }
  const index = new Map();
  const low = new Map();
  const stack = [];
  const found = [];
  const visit = (node) => {
    index.set(node, index.size);
    low.set(node, index.get(node));
    stack.push(node);
    for (const to of next.get(node)) {
      if (!index.has(to)) visit(to);
      if (stack.includes(to)) low.set(node, Math.min(low.get(node), low.get(to)));
    }
    if (low.get(node) === index.get(node)) {
      const group = stack.splice(stack.indexOf(node));
      if (group.length > 1) found.push(group.sort());
    }
  };
  for (const node of next.keys()) if (!index.has(node)) visit(node);
  return found;
}

/**
 * The arrows at every level of the tree of modules: between files, and between the modules side by side in a folder,
 * each with all that lies inside of it. A level is `{ inside, edges }`.
 */
export function levels(found) {
  const folders = new Map();
  for (const { from, to } of found) {
    const [a, b] = [from.split("::"), to.split("::")];
    let depth = 0;
    while (depth < a.length && depth < b.length && a[depth] === b[depth]) depth++;
    if (depth === a.length || depth === b.length || from === "" || to === "") continue;
    const inside = a.slice(0, depth).join("::");
    if (!folders.has(inside)) folders.set(inside, []);
    folders.get(inside).push([a.slice(0, depth + 1).join("::"), b.slice(0, depth + 1).join("::")]);
  }
  return [...folders].map(([inside, edges]) => ({ inside, edges }));
}
