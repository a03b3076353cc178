// The leaderboard, its pages, both widths and both themes.
import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { expect, open, target, test } from "./page.mjs";

const paper = (page) => page.locator("#paper table");
const names = (page, part) => page.locator(`${part} tbody tr:not(.reference) th .key`).allInnerTexts();

test("all encoders and tasks are there, the miniature first", async ({ page }) => {
  await open(page, "/");
  await expect(page.locator("#paper tbody tr:not(.reference)")).toHaveCount(33);
  await expect(paper(page).locator("thead tr.tasks th")).toHaveCount(21);
  expect(await page.locator("main section").first().getAttribute("id")).toBe("miniature");
  const shipped = JSON.parse(gunzipSync(readFileSync("../server/samples/results.json.gz"))).map((s) => s.result);
  const cells = new Set(shipped.filter((r) => (r.provenance.probe ?? "head") === "head").map((r) => `${r.encoder}/${r.task}`));
  await expect(page.locator("#miniature td.filled, #aside td.filled")).toHaveCount(cells.size);
  const encoders = new Set([...cells].map((cell) => cell.split("/")[0]));
  expect(await page.locator("#miniature tbody tr").count()).toBe(encoders.size);
});

test("filters and sorting are in the address", async ({ page }) => {
  await open(page, "/");
  await page.locator('select[name="method"]').selectOption("moco-v2");
  await expect(page).toHaveURL("/?method=moco-v2");
  for (const name of await names(page, "#paper")) expect(name).toContain("MoCov2");
  await page.locator('select[name="epochs"]').selectOption("800");
  await expect(page.locator("#paper tbody tr:not(.reference)")).toHaveCount(1);
  await open(page, "/");
  await page.locator("#miniature thead a.metric").first().click();
  await expect(page).toHaveURL("/?sort=SamplePhotos");
  await expect(async () => {
    const scores = (await page.locator("#miniature tbody tr td:nth-child(3)").allInnerTexts()).map(parseFloat);
    expect(scores).toEqual([...scores].sort((a, b) => b - a));
  }).toPass();
});

test("an empty cell explains how to fill it, a filled one shows its evidence", async ({ page }) => {
  await open(page, "/");
  await paper(page).locator("td.empty a").first().click();
  await expect(page).toHaveURL(/\/encoders\/SWAV_100#Imagenet$/);
  await expect(page.locator("main")).toContainText("virboard evaluate --encoders SWAV_100 --tasks Imagenet");
  await open(page, "/");
  await page.locator("#miniature td.filled a").first().click();
  await expect(page.locator("table.list").filter({ hasText: "measured" }).first()).toBeVisible();
  await expect(page.locator("table.list svg.curve").first()).toBeVisible();
});

test("published numbers are quoted, apart from scores", async ({ page }) => {
  await open(page, "/");
  const quoted = paper(page).locator("td.quoted a");
  await expect(quoted).toHaveCount(16);
  await expect(quoted.first()).toHaveAttribute("title", /not measured here and in no rank/);
  await expect(page.locator("#paper .quotes")).toContainText("published elsewhere");
  const before = await names(page, "#paper");
  await paper(page).locator("thead a.metric").first().click();
  await expect(page).toHaveURL("/?sort=Imagenet");
  expect(await names(page, "#paper"), "nothing is sorted among them").toEqual(before);
  await page.locator('select[name="show"]').selectOption("rank");
  await expect(quoted).toHaveCount(0);
  await expect(page.locator(".quotes")).toHaveCount(0);
  await open(page, "/");
  await quoted.first().click();
  await expect(page).toHaveURL(/\/encoders\/\w+#published$/);
  await expect(page.locator("#published table")).toContainText("What differs");
});

test("the theme is kept", async ({ page }) => {
  await open(page, "/");
  await page.getByRole("button", { name: "Dark" }).click();
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
  await open(page, "/try");
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
});

for (const width of [390, 1440, 1920]) {
  test(`pages fit ${width} pixels`, async ({ page }) => {
    await page.setViewportSize({ width, height: 900 });
    for (const address of ["/", "/try", "/miniature", "/encoders/SWAV_800", "/encoders/EfficientNetLite0", "/tasks/NYUDepth", "/tasks/SceneDepth"]) {
      await open(page, address);
      const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      expect(over, address).toBeLessThanOrEqual(0);
    }
  });
}

test("the browser loads at most 300 kB of WebAssembly and JavaScript", () => {
  const folder = join(target, "site/pkg");
  const files = readdirSync(folder).filter((f) => /\.(wasm|js)\.br$/.test(f));
  expect(files.length).toBe(2);
  const total = files.reduce((sum, f) => sum + statSync(join(folder, f)).size, 0);
  console.log(`${total} bytes after brotli`);
  expect(total).toBeLessThanOrEqual(300_000);
});

test("files are served compressed and kept", async ({ page, request }) => {
  await page.goto("/");
  const address = await page.locator('link[rel="modulepreload"]').getAttribute("href");
  const answer = await request.get(address, { headers: { "accept-encoding": "br" } });
  expect(answer.headers()["content-encoding"]).toBe("br");
  expect(answer.headers()["cache-control"]).toContain("immutable");
});
