// What README.md says of scores is what ships, and paths and links in documents lead somewhere.
import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import test from "node:test";
import { gunzipSync } from "node:zlib";

const readme = readFileSync("README.md", "utf8");
const shipped = JSON.parse(gunzipSync(readFileSync("server/samples/results.json.gz")))
  .map((run) => run.result)
  .filter((score) => (score.provenance.probe ?? "head") === "head" && score.provenance.selected !== false);

test("the table of the miniature's scores is what ships", () => {
  const encoders = ["Mini_Supervised", "Mini_SWAV_800", "Mini_MoCov2_800", "Mini_PIRL_800", "Mini_SimCLR_1000", "Mini_Random"];
  let compared = 0;
  for (const [, task, cells] of readme.matchAll(/^\| (\S+), [^|]*\|(.*)\|$/gm)) {
    const scores = encoders.map((e) => shipped.find((s) => s.task === task && s.encoder === e));
    assert.ok(scores.every(Boolean), `${task} has a score of each encoder`);
    const wanted = [...scores.map((s) => s.score), scores[0].constant];
    cells.split("|").forEach((cell, i) => {
      const [, number, decimals, unit] = /^ \*{0,2}(\d+\.?(\d*)) ([^ *]+)/.exec(cell);
      const value = unit === "%" ? 100 * wanted[i] : wanted[i];
      assert.ok(Math.abs(value - number) <= 0.5 * 10 ** -decimals.length + 1e-9, `${task}: ${number} stands for ${value}`);
      compared += 1;
    });
  }
  const tasks = shipped.filter((s) => s.encoder === "Mini_Random").map((s) => s.task);
  assert.equal(compared, (encoders.length + 1) * new Set(tasks).size, "every task on which the miniature is measured is in the table");
});

test("no document types a number of encoders, tasks or data sets of the catalogue", () => {
  const typed = /\b\d+ (?:\w+ )?(?:encoders|end tasks|tasks|data sets|analyses)\b/g;
  for (const name of ["README.md", "CONTRIBUTING.md", "docs/ARCHITECTURE.md", "docs/GUIDE.md"]) {
    assert.deepEqual(readFileSync(name, "utf8").match(typed) ?? [], [], name);
  }
});

test("files and links that documents name are there", () => {
  const documents = ["README.md", "CONTRIBUTING.md", ...readdirSync("docs").filter((f) => f.endsWith(".md")).map((f) => `docs/${f}`)];
  let seen = 0;
  for (const name of documents) {
    const text = readFileSync(name, "utf8");
    const links = [...text.matchAll(/\]\(([^)#:\s]+)(?:#[^)]*)?\)/g)].map((m) => join(dirname(name), m[1]));
    const files = [...text.matchAll(/`((?:app|server|scripts|migrations|docs|end2end|style|public)\/[\w./-]*[\w/])`/g)].map((m) => m[1]);
    for (const path of [...links, ...files].filter((p) => !p.includes("NAME"))) {
      assert.ok(existsSync(path), `${name} names ${path}, which is not there`);
      seen += 1;
    }
  }
  assert.ok(seen > 20, `only ${seen} were found`);
});

test("commands that documents name are commands", () => {
  let seen = 0;
  for (const name of ["README.md", "docs/GUIDE.md", "docs/DATASETS.md"]) {
    for (const [, command] of readFileSync(name, "utf8").matchAll(/(?:^ {0,4}|`)virboard ([a-z]+)/gm)) {
      assert.ok(existsSync(`server/src/cli/${command}.rs`), `${name} names the command ${command}`);
      seen += 1;
    }
  }
  assert.ok(seen > 10, `only ${seen} were found`);
});
