// All runs: filters, ticks, keys, the grid, comparing, and what is measured of them.
import { expect, open, test } from "./page.mjs";

const lines = (page) => page.locator("table.runs tbody tr");

test("the table of all runs is one page of many, and its state is in the address", async ({ page, context }) => {
  await open(page, "/runs");
  await expect(lines(page)).toHaveCount(200);
  await expect(page.locator(".pages")).toContainText("1–200 of");
  await page.locator('input[name="q"]').fill("task:SceneDepth encoder:Mini_SWAV");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/q=task(%3A|:)SceneDepth/);
  await expect(page.locator(".count")).toContainText(/^\d+ of \d+ runs/);
  await page.locator("table.runs thead a", { hasText: "Score" }).click();
  await expect(page).toHaveURL(/sort=score/);
  await expect(async () => {
    const column = (await page.locator("table.runs thead th").allInnerTexts()).findIndex((h) => h.startsWith("Score"));
    const scores = (await lines(page).locator(`:scope > :nth-child(${column + 1})`).allInnerTexts()).map(parseFloat);
    expect(scores.length).toBeGreaterThan(1);
    expect(scores).toEqual([...scores].sort((a, b) => a - b));
  }).toPass();
  const other = await context.newPage();
  await open(other, page.url());
  expect(await lines(other).allInnerTexts()).toEqual(await lines(page).allInnerTexts());
});

test("a filter that is not understood says where, and the next one works", async ({ page }) => {
  await open(page, "/runs");
  await page.locator('input[name="q"]').fill("taks:Pets");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("alert")).toContainText("did you mean task?");
  await page.locator('input[name="q"]').fill("task:SceneDepth");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("alert")).toHaveCount(0);
  await expect(lines(page).first()).toContainText("SceneDepth");
});

test("suggestions follow the word that is being written", async ({ page }) => {
  await open(page, "/runs");
  const field = page.locator('input[name="q"]');
  const first = page.locator("#terms option").first();
  const term = await first.getAttribute("data-term");
  await expect(first).toHaveAttribute("value", term);
  await field.pressSequentially("probe:head st");
  await expect(first).toHaveAttribute("value", `probe:head ${term}`);
});

test("ticks stay through filters and lead to the comparison", async ({ page }) => {
  await open(page, "/runs?q=task:SceneDepth");
  const boxes = page.locator("input.pick");
  await boxes.nth(0).check();
  await expect(page).toHaveURL(/ids=\d+$/);
  await boxes.nth(3).click({ modifiers: ["Shift"] });
  await expect(page.locator("[data-ticked]")).toHaveText("4");
  await page.locator('input[name="q"]').fill("task:SceneFlow");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/SceneFlow/);
  await expect(page.locator("[data-ticked]")).toHaveText("4");
  await boxes.nth(0).check();
  await expect(page.locator("[data-ticked]")).toHaveText("5");
  await page.getByRole("button", { name: "Compare" }).click();
  await expect(page).toHaveURL(/\/runs\/compare\?ids=/);
  await expect(page.locator("h1")).toHaveText("5 runs side by side");
  await expect(page.locator("table.sides tbody th").first()).toBeVisible();
  await expect(page.locator("figure.bars svg").first()).toBeVisible();
  await expect(page.locator("figure.lines svg").first()).toBeVisible();
  await page.goBack();
  await expect(page.locator("[data-ticked]")).toHaveText("5");
});

test("keys filter, move, tick and compare", async ({ page }) => {
  await open(page, "/runs");
  await page.keyboard.press("j");
  await page.keyboard.press("x");
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  await page.keyboard.press("x");
  await page.keyboard.press("k");
  await expect(lines(page).nth(1).locator("a.open")).toBeFocused();
  await expect(page.locator("[data-ticked]")).toHaveText("2");
  await page.keyboard.press("?");
  await expect(page.locator("#keys dl")).toBeVisible();
  await page.keyboard.press("/");
  await expect(page.locator('input[name="q"]')).toBeFocused();
  await page.keyboard.type("j");
  await expect(page.locator('input[name="q"]')).toHaveValue("j");
  await page.locator('input[name="q"]').fill("");
  await page.locator("h1").click();
  await page.keyboard.press("c");
  await expect(page.locator("h1")).toHaveText("2 runs side by side");
});

test("the grid shows what ran and leads to it", async ({ page }) => {
  await open(page, "/runs");
  await page.getByRole("link", { name: "Grid", exact: true }).click();
  await expect(page).toHaveURL(/view=grid/);
  const cells = page.locator(".grid-of-runs td.finished");
  await expect(cells.first()).toBeVisible();
  expect(await cells.count()).toBeGreaterThan(100);
  expect(await page.locator(".grid-of-runs td.hole").count()).toBeGreaterThan(0);
  await page.locator('select[name="shade"]').selectOption("score");
  await expect(page.locator(".grid-of-runs td.shaded").first()).toBeVisible();
  await page.locator(".grid-of-runs td.shaded a").first().click();
  await expect(page).toHaveURL(/q=encoder/);
  await expect(lines(page).first()).toBeVisible();
});

test("a run has its curve, its settings and runs beside it", async ({ page }) => {
  await open(page, "/runs?q=probe:head");
  await lines(page).first().locator("a.open").click();
  await expect(page.locator("h1")).toContainText("Run ");
  await expect(page.locator("figure.lines svg").first()).toBeVisible();
  await expect(page.locator("main")).toContainText("learning_rate");
  await page.getByRole("link", { name: "logarithm of the loss" }).click();
  await expect(page.locator("figure.lines figcaption").first()).toContainText("logarithm");
});

test.describe("without JavaScript", () => {
  test.use({ javaScriptEnabled: false });
  test("filters, ticks and the comparison are forms", async ({ page }) => {
    await page.goto("/runs");
    await page.locator('input[name="q"]').fill("task:SceneDepth");
    await page.getByRole("button", { name: "Show" }).click();
    await expect(lines(page).first()).toContainText("SceneDepth");
    await page.locator("input.pick").nth(0).check();
    await page.locator("input.pick").nth(1).check();
    await page.getByRole("button", { name: "Compare" }).click();
    await expect(page.locator("h1")).toHaveText("2 runs side by side");
  });
});
