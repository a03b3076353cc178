// Reads Rust sources as text: their tokens, and the paths that they name.

const WORD = /[A-Za-z_][A-Za-z0-9_]*/y;

/** The tokens of a source: words, `::` and single signs. Comments, texts and numbers are left out. */
export function tokens(source) {
  const found = [];
  let at = 0;
  while (at < source.length) {
    const rest = source.slice(at, at + 2);
    if (rest === "//") {
      const end = source.indexOf("\n", at);
      at = end < 0 ? source.length : end;
    } else if (rest === "/*") {
      at = endOfComment(source, at);
    } else if (/^[bc]?r#*"/.test(source.slice(at, at + 12))) {
      const [start, hashes] = /^[bc]?r(#*)"/.exec(source.slice(at));
      const end = source.indexOf(`"${hashes}`, at + start.length);
      at = end < 0 ? source.length : end + 1 + hashes.length;
    } else if (source[at] === '"') {
      at = endOfText(source, at);
    } else if (source[at] === "'") {
      // A character ends in a quote; a lifetime does not.
      const character = /^'(\\(u\{[^}]*\}|x..|.)|[^\\'])'/su.exec(source.slice(at, at + 14));
      at += character ? character[0].length : 1;
    } else if (rest === "::") {
      found.push("::");
      at += 2;
    } else {
      WORD.lastIndex = at;
      const word = WORD.exec(source);
      if (word) {
        found.push(word[0]);
        at += word[0].length;
      } else {
        if (!/\s/.test(source[at])) found.push(source[at]);
        at += 1;
      }
    }
  }
  return found;
}

function endOfComment(source, start) {
  let depth = 0;
  for (let at = start; at < source.length; at++) {
    const two = source.slice(at, at + 2);
    if (two === "/*") { depth++; at++; }
    if (two === "*/") { depth--; at++; }
    if (depth === 0) return at + 1;
  }
  return source.length;
}

function endOfText(source, start) {
  for (let at = start + 1; at < source.length; at++) {
    if (source[at] === "\\") at++;
    else if (source[at] === '"') return at + 1;
  }
  return source.length;
}

/** The tokens without what is compiled for tests alone. */
export function withoutTests(all) {
  const kept = [];
  for (let at = 0; at < all.length; at++) {
    if (all[at] === "#" && all[at + 1] === "[" && all[at + 2] === "cfg") {
      const end = closing(all, at + 1);
      const words = all.slice(at, end);
      if (words.includes("test") && !words.includes("not") && !words.includes("any")) {
        at = endOfItem(all, end + 1);
        continue;
      }
    }
    kept.push(all[at]);
  }
  return kept;
}

const PAIRS = { "(": ")", "[": "]", "{": "}" };

/** Where the bracket that opens at `start` is closed. */
function closing(all, start) {
  const open = all[start];
  let depth = 0;
  for (let at = start; at < all.length; at++) {
    if (all[at] === open) depth++;
    if (all[at] === PAIRS[open] && --depth === 0) return at;
  }
  return all.length;
}

/** The last token of the item, or of the field or statement, that begins at `start`. */
function endOfItem(all, start) {
  for (let at = start; at < all.length; at++) {
    if (all[at] === ";" || all[at] === ",") return at;
    if (all[at] === "{") return closing(all, at);
    if (all[at] === "(" || all[at] === "[") at = closing(all, at);
  }
  return all.length;
}

/**
 * What a source names:
 * - `imports`: `{ path, name, shared, inner }` for each name that a `use` brings in (`name` is "*" for all of them);
 *   `shared` says whether others may take it from here, `inner` lists the modules written inside of this file around it;
 * - `paths`: `{ path, inner }` for every path of two words or more outside of `use`.
 */
export function names(source) {
  const all = withoutTests(tokens(source));
  const imports = [];
  const paths = [];
  const inner = [];
  const opened = [];
  for (let at = 0; at < all.length; at++) {
    const word = all[at];
    if (word === "mod" && all[at + 2] === "{") {
      inner.push(all[at + 1]);
      opened.push(true);
      at += 2;
    } else if (word === "{") {
      opened.push(false);
    } else if (word === "}") {
      if (opened.pop()) inner.pop();
    } else if (word === "use" && /^[\w{:]/.test(all[at + 1] ?? "") && !(all[at - 1] === ">" || all[at - 1] === "+")) {
      const shared = all[at - 1] === "pub" || (all[at - 1] === ")" && all.slice(Math.max(0, at - 6), at).includes("pub"));
      const tree = { all, at: at + 1 };
      branches(tree, []).forEach((b) => imports.push({ ...b, shared, inner: [...inner] }));
      at = tree.at - 1;
    } else if (/^[A-Za-z_]/.test(word) && all[at + 1] === "::" && all[at - 1] !== "::") {
      const path = [word];
      while (all[at + 1] === "::" && /^[A-Za-z_]/.test(all[at + 2] ?? "")) {
        path.push(all[at + 2]);
        at += 2;
      }
      if (path.length > 1) paths.push({ path, inner: [...inner] });
    }
  }
  return { imports, paths };
}

/** The names that one tree of a `use` brings in. */
function branches(tree, before) {
  const path = [...before];
  for (;;) {
    const word = tree.all[tree.at];
    if (word === undefined) return [];
    if (word === "{") {
      tree.at++;
      const found = [];
      while (tree.at < tree.all.length && tree.all[tree.at] !== "}") {
        if (tree.all[tree.at] === ",") tree.at++;
        else found.push(...branches(tree, path));
      }
      tree.at++;
      return found;
    }
    tree.at++;
    if (word === "::") continue;
    if (word === "*") return [{ path, name: "*" }];
    if (word !== "self" || path.length === 0) path.push(word);
    if (tree.all[tree.at] === "::") continue;
    let name = path.at(-1);
    if (tree.all[tree.at] === "as") {
      name = tree.all[tree.at + 1];
      tree.at += 2;
    }
    return [{ path, name }];
  }
}
