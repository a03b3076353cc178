// Analyses, comparing, choosing, exporting, and a leaderboard of two thousand encoders.
import { readFileSync } from "node:fs";
import { expect, open, test } from "./page.mjs";

const live = async (page) => expect(page.locator("html")).toHaveAttribute("data-sheets", "");

test("an analysis reacts to its options, keeps them in the address and gives files", async ({ page }) => {
  await open(page, "/analyses");
  await expect(page.locator(".cards li")).toHaveCount(19);
  await page.getByRole("link", { name: "Which tasks agree?" }).click();
  await expect(page).toHaveURL(/\/analyses\/correlation/);
  await expect(page.locator("figure.heat svg")).toBeVisible();
  await page.locator('select[name="ranks"]').selectOption("1");
  await expect(page).toHaveURL(/ranks=1/);
  await expect(page.locator('select[name="ranks"]')).toHaveValue("1");
  for (const [name, ending] of [["SVG", "svg"], ["CSV", "csv"]]) {
    const waiting = page.waitForEvent("download");
    await page.getByRole("link", { name, exact: true }).click();
    expect((await waiting).suggestedFilename()).toBe(`correlation.${ending}`);
  }
  const waiting = page.waitForEvent("download");
  await page.getByRole("link", { name: "PNG" }).click();
  const png = readFileSync(await (await waiting).path());
  expect(png.subarray(1, 4).toString()).toBe("PNG");
  // Twice the size of the drawing.
  expect(png.readUInt32BE(16)).toBeGreaterThan(600);
});

test("few encoders have points and no correlation, and the page says why", async ({ page }) => {
  await open(page, "/analyses/correlation?suite=aside");
  await expect(page.locator("figure.dots svg")).toBeVisible();
  await expect(page.locator(".caveat")).toContainText("8 encoders each are needed");
});

test("the same encoder lights up in all pictures", async ({ page }) => {
  await open(page, "/analyses/imagenet?suite=miniature");
  const dots = page.locator('circle[data-key="Mini_SWAV_800"]');
  const n = await dots.count();
  expect(n).toBeGreaterThan(1);
  await dots.first().hover();
  await expect(page.locator('circle.lit[data-key="Mini_SWAV_800"]')).toHaveCount(n);
});

test("analyses without scores show the published points as such", async ({ page }) => {
  await open(page, "/analyses/imagenet?suite=paper");
  await expect(page.locator(".caveat")).toContainText("No scores on this server yet");
  expect(await page.locator("circle.ghost").count()).toBeGreaterThan(100);
  await expect(page.locator("circle.dot")).toHaveCount(0);
});

test("columns hide, categories fold, several columns sort", async ({ page }) => {
  await open(page, "/");
  await live(page);
  const heads = page.locator("#miniature thead tr.tasks th");
  const n = await heads.count();
  await heads.filter({ hasText: "Sample Photos" }).hover();
  await page.getByRole("link", { name: "Hide Sample Photos" }).click();
  await expect(heads).toHaveCount(n - 1);
  await page.getByRole("link", { name: "Image-level structural" }).first().click();
  await expect(page).toHaveURL(/fold=image-structural/);
  await expect(heads).toHaveCount(n - 2);
  await heads.filter({ hasText: "mean rank" }).locator("a").click();
  await page.locator("#miniature thead a.metric").last().click({ modifiers: ["Shift"] });
  await expect(page).toHaveURL(/sort=image-structural,\w+/);
  // What the address says is what the server writes.
  const before = await page.locator("#miniature table").innerText();
  await open(page, page.url());
  expect(await page.locator("#miniature table").innerText()).toBe(before);
  await page.getByRole("link", { name: "Show SamplePhotos" }).click();
  await page.goBack();
  await expect(page.locator("#chips a")).toHaveCount(2);
});

test("the search narrows while one types, arrows walk through cells", async ({ page }) => {
  await open(page, "/");
  await live(page);
  const field = page.getByRole("searchbox");
  await field.pressSequentially("places swav");
  await expect(page.locator("#paper tbody tr[data-row]")).toHaveCount(1);
  await expect(field).toBeFocused();
  await expect(field).toHaveValue("places swav");
  await page.getByRole("link", { name: "Reset" }).click();
  await expect(page.locator("#paper tbody tr[data-row]")).toHaveCount(33);
  await expect(field).toHaveValue("");
  const cell = page.locator("#miniature tbody td.filled a").first();
  await cell.focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowDown");
  const at = await page.evaluate(() => document.activeElement.getAttribute("href"));
  expect(at).toMatch(/#Caltech101Objects$/);
});

test("ticked encoders are compared", async ({ page }) => {
  await open(page, "/");
  for (const key of ["Mini_SWAV_800", "Mini_MoCov2_800"]) await page.locator(`#miniature input[value="${key}"]`).check();
  await page.getByRole("button", { name: "Compare ticked" }).click();
  await expect(page).toHaveURL(/\/compare\?e=/);
  await expect(page.locator("figure.dots svg")).toBeVisible();
  await expect(page.locator(".findings")).toContainText("best on");
});

test("sliders change the answer at once, and the address holds them", async ({ page }) => {
  await open(page, "/choose");
  await live(page);
  await expect(page.locator("#answer")).toContainText("comes first in");
  expect(await page.locator("#answer .candidates li").count()).toBeGreaterThan(3);
  await page.locator('input[name="image-semantic"]').fill("4");
  await page.locator('input[name="image-structural"]').fill("0");
  await expect(page).toHaveURL(/image-semantic=4&image-structural=0/);
  const answer = await page.locator("#answer").innerText();
  await open(page, page.url());
  expect(await page.locator("#answer").innerText()).toBe(answer);
  await live(page);
  await page.getByRole("link", { name: "Pixel-wise" }).click();
  await expect(page.locator('input[name="image-semantic"]')).toHaveValue("0");
  for (const name of ["image-semantic", "image-structural", "pixel-semantic", "pixel-structural"]) {
    await page.locator(`input[name="${name}"]`).fill("0");
  }
  await expect(page.locator("#answer .caveat")).toContainText("Nothing counts");
});

test("what is seen is exported in five formats", async ({ page, request }) => {
  await open(page, "/?sort=-name&hide=SceneDepth");
  await page.locator("details.files summary").click();
  for (const [name, ending, start] of [
    ["CSV", "csv", "encoder,name,mean_rank,SamplePhotos"],
    ["JSON", "json", "["],
    ["Parquet", "parquet", "PAR1"],
    ["LaTeX", "tex", "\\begin{tabular}"],
    ["Markdown", "md", "| Encoder |"],
  ]) {
    const links = page.locator("details.files").getByRole("link", { name });
    const address = await links.last().getAttribute("href");
    const answer = await request.get(address);
    expect(answer.ok(), address).toBe(true);
    expect(answer.headers()["content-disposition"]).toContain(`.${ending}`);
    const sheet = (await links.evaluateAll((all) => all.map((a) => a.href))).find((a) => a.includes("suite=miniature"));
    const text = (await (await request.get(sheet)).body()).toString("latin1");
    expect(text.startsWith(start), `${name}: ${text.slice(0, 60)}`).toBe(true);
    expect(text).not.toContain("SceneDepth");
  }
});

// A sheet of two thousand encoders and a hundred tasks in the place of the server's.
function large() {
  const n = 2000;
  const rows = Array.from({ length: n }, (_, i) => ({
    key: `e${i}`, name: `Encoder ${i}`, method: "SwAV", pretraining: "ImageNet", epochs: 200, commercial: true, ready: false, place: null,
  }));
  const categories = ["image-semantic", "image-structural", "pixel-semantic", "pixel-structural"];
  const columns = Array.from({ length: 100 }, (_, t) => ({
    key: `t${t}`, name: `Task ${t}`, description: "", caveat: "", category: categories[t % 4], metric: "top-1", unit: "",
    published: null, constant: null, scores: rows.map((_, i) => ((i * 7919 + t * 104729) % 1009) / 1009),
    marks: rows.map(() => 0), spreads: [],
  }));
  const suite = (key) => ({ key, name: key, short: "", note: "", order: 0 });
  const empty = { suite: suite("miniature"), rows: [], columns: [], coverage: "" };
  return { sheets: [{ suite: suite("paper"), rows, columns, coverage: "" }, empty], encoders: [] };
}

test("two thousand encoders on a hundred tasks sort and filter", async ({ page }) => {
  await page.route("**/rpc/load_overview*", (route) => route.fulfill({ json: large() }));
  await open(page, "/");
  await live(page);
  const click = (selector) =>
    page.evaluate(async (selector) => {
      // The time until the rows are in order, and until they are drawn.
      const start = performance.now();
      const sorted = new Promise((done) => {
        const seen = new MutationObserver(() => { seen.disconnect(); done(performance.now() - start); });
        seen.observe(document.querySelector("#paper tbody"), { childList: true });
      });
      document.querySelector(selector).click();
      const ordered = await sorted;
      await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
      return [ordered, performance.now() - start].map(Math.round);
    }, selector);
  await click("#paper thead a.metric");
  await expect(page.locator("#paper tbody tr[data-row]")).toHaveCount(16);
  await expect(page.locator("#paper thead tr.tasks th")).toHaveCount(100);
  const took = await click("#paper thead tr.tasks th:nth-child(7) a.metric");
  console.log(`2000 x 100 sorted after ${took[0]} ms, drawn after ${took[1]} ms`);
  // Tens of milliseconds here; the bounds leave room for a busy machine.
  expect(took[0], "milliseconds until the rows are in order").toBeLessThan(500);
  expect(took[1], "milliseconds until they are drawn").toBeLessThan(1500);
  const scores = await page.locator("#paper tbody tr[data-row] td:nth-child(8)").allInnerTexts();
  expect(scores.map(parseFloat)).toEqual([...scores.map(parseFloat)].sort((a, b) => b - a));
  await expect(page.locator("#after-paper")).toContainText("page 1 of 125, 2000 encoders");
  await page.getByRole("link", { name: "after →" }).click();
  await expect(page.locator("#after-paper")).toContainText("page 2 of 125");
  await page.getByRole("searchbox").fill("encoder 1999");
  await expect(page.locator("#paper tbody tr[data-row]")).toHaveCount(1);
});
