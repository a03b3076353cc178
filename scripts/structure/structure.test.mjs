// The check finds what it is for: each test writes a small workspace and plants one mistake.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import test from "node:test";
import { check } from "../check-structure.mjs";
import { names, tokens } from "./rust.mjs";

const RULES = {
  LINES: 20,
  TABLES: {},
  FLOORS: { low: [], high: ["low"] },
  PLAIN: { of: "low", to: "high", names: ["Plain"] },
  HOMES: [{ crates: ["sqlx"], places: ["high/src/store"] }],
};

/** What is wrong in a workspace of these files. */
function wrong(files, rules = {}) {
  const root = mkdtempSync(join(tmpdir(), "structure-"));
  const all = {
    "Cargo.toml": '[workspace]\nmembers = ["low", "high"]\n',
    "low/Cargo.toml": '[package]\nname = "low"\n',
    "low/src/lib.rs": "pub mod a;\npub mod b;\n",
    "low/src/a.rs": "pub struct A;\n",
    "low/src/b.rs": "use crate::a::A;\n",
    "high/Cargo.toml": '[package]\nname = "high"\n[dependencies]\nlow.workspace = true\n',
    "high/src/lib.rs": "use low::Plain;\n",
    ...files,
  };
  for (const [name, text] of Object.entries(all)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  try {
    return check(root, { ...RULES, ...rules });
  } finally {
    rmSync(root, { recursive: true });
  }
}

/** Exactly one thing is wrong, and it is named. */
function one(found, ...patterns) {
  assert.equal(found.length, 1, found.join("\n"));
  for (const p of patterns) assert.match(found[0], p);
}

test("a tidy workspace has nothing wrong", () => {
  assert.deepEqual(wrong({}), []);
});

test("a circle by use is found, with what ties it", () => {
  one(wrong({ "low/src/a.rs": "use crate::b::B;\npub struct A;\n" }), /circle: a, b/, /a\.rs takes B from low\/src\/b\.rs/);
});

test("a circle by an inline path is found", () => {
  one(wrong({ "low/src/a.rs": "pub fn a() -> u8 { crate::b::b() }\n" }), /circle: a, b/);
});

test("a circle by super is found", () => {
  one(wrong({ "low/src/a.rs": "pub fn a() -> u8 { super::b::b() }\n" }), /circle: a, b/);
});

test("a circle through braces, a rename and a module imported whole is found", () => {
  one(wrong({ "low/src/a.rs": "use crate::{b as other};\npub fn a() { other::b() }\n" }), /circle: a, b/);
});

test("a circle through a name that the parent passes on is found", () => {
  const files = {
    "low/src/lib.rs": "pub mod a;\npub mod b;\npub use b::B;\n",
    "low/src/a.rs": "use crate::B;\npub struct A;\n",
    "low/src/b.rs": "use crate::a::A;\npub struct B;\n",
  };
  one(wrong(files), /circle: a, b/);
});

test("a circle between folders is found where no two files form one", () => {
  const files = {
    "low/src/a/x.rs": "pub struct X;\n",
    "low/src/a/y.rs": "use crate::b::v::V;\n",
    "low/src/b.rs": "pub mod v;\npub mod w;\n",
    "low/src/b/v.rs": "pub struct V;\n",
    "low/src/b/w.rs": "use crate::a::x::X;\n",
  };
  one(wrong(files), /circle: a, b/, /y\.rs takes V/);
});

test("a file and the folder of its name may know each other", () => {
  const files = {
    "low/src/a.rs": "pub mod x;\npub struct A;\npub fn a() { x::x() }\n",
    "low/src/a/x.rs": "use super::A;\npub fn x() {}\n",
  };
  assert.deepEqual(wrong(files), []);
});

test("what tests, comments and texts name is no import", () => {
  const files = {
    "low/src/a.rs":
      '// crate::b::B\n/* use crate::b::B; /* nested */ */\npub const A: &str = "crate::b::B \\" crate::b::B";\n' +
      "pub const R: &str = r#\"crate::b::\"B\"#;\npub struct A;\n#[cfg(test)]\nmod tests {\n    use crate::b::B;\n}\n",
  };
  assert.deepEqual(wrong(files), []);
});

test("a crate must not use one above it", () => {
  one(wrong({ "low/src/a.rs": "pub struct A;\nuse high::H;\n" }), /low must not use high/);
  one(wrong({ "low/Cargo.toml": '[package]\nname = "low"\n[dependencies]\nhigh = { path = "../high" }\n' }), /must not depend on high/);
});

test("networks know plain data of the benchmark alone", () => {
  one(wrong({ "high/src/lib.rs": "pub fn f(t: &low::tasks::Task) {}\n" }), /must know nothing of low::tasks::Task/);
});

test("SQL outside of the store is found", () => {
  one(wrong({ "high/src/pages.rs": "pub async fn p() { sqlx::query(TEXT); }\n" }), /pages\.rs: sqlx belongs into high\/src\/store/);
  assert.deepEqual(wrong({ "high/src/store/runs.rs": "use sqlx::query;\n" }), []);
});

test("a long file is found, and a table that is no longer long", () => {
  const long = { "low/tests/long.rs": "// line\n".repeat(21) };
  one(wrong(long), /long\.rs: 21 lines, more than 20/);
  assert.deepEqual(wrong(long, { TABLES: { "low/tests/long.rs": "data" } }), []);
  one(wrong({}, { TABLES: { "low/src/a.rs": "data" } }), /take it off the list/);
});

test("a crate without a floor is found", () => {
  one(wrong({ "Cargo.toml": 'members = ["low", "high", "new"]\n', "new/Cargo.toml": 'name = "new"\n' }), /new has no floor/);
});

test("tokens tell lifetimes from characters", () => {
  assert.deepEqual(tokens("fn f<'a>(x: &'a str) { '\\'' ; 'c'; b'{'; \"{\" }").join(" "), "fn f < a > ( x : & a str ) { ; ; b ; }");
});

test("a use tree gives every name", () => {
  const { imports } = names("pub(crate) use crate::{a::{self, B as C}, d::*};");
  const got = imports.map((i) => `${i.path.join("::")} ${i.name} ${i.shared}`);
  assert.deepEqual(got, ["crate::a a true", "crate::a::B C true", "crate::d * true"]);
});
