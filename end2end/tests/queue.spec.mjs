// The queue: planning evaluations, and watching what becomes of them.
import { expect, open, test } from "./page.mjs";

test("evaluations are planned before the click, wait in the queue and are taken back", async ({ page }) => {
  await open(page, "/launch");
  await page.getByLabel("Random initialisation", { exact: true }).check();
  await page.locator("details", { has: page.locator('input[value="SceneCount"]') }).evaluate((d) => (d.open = true));
  await page.locator('input[value="SceneCount"]').check();
  await page.getByLabel("Seeds").fill("41");
  await page.getByRole("button", { name: "Show the plan" }).click();
  const plan = page.getByRole("region", { name: "Plan" });
  await expect(plan).toContainText("1 job");
  await page.getByRole("button", { name: "Put 1 job into the queue" }).click();
  await expect(page).toHaveURL(/\/queue\?done=launch$/);
  await expect(page.getByRole("status").first()).toContainText("wait for a worker");
  const waiting = page.getByRole("region", { name: "Jobs that run or wait" });
  await expect(waiting).toContainText("Random on SceneCount");
  await waiting.getByRole("button", { name: "Cancel Random on SceneCount" }).first().click();
  await expect(page).toHaveURL(/done=cancel/);
  await expect(page.getByRole("region", { name: "Jobs that have ended" })).toContainText("cancelled");
});

test("the queue shows what happens elsewhere without being loaded anew", async ({ page, request }) => {
  await open(page, "/queue");
  const body = { encoders: ["OpenNsfw"], tasks: ["SceneCount"], seeds: [42] };
  const launched = await request.post("/api/v1/jobs", { data: body });
  expect(launched.status()).toBe(202);
  const [[name]] = (await launched.json()).jobs;
  await expect(page.getByRole("region", { name: "Jobs that run or wait" })).toContainText("OpenNsfw on SceneCount", { timeout: 15_000 });
  expect((await request.post(`/api/v1/jobs/${name}/cancel`)).status()).toBe(202);
  await expect(page.getByRole("region", { name: "Jobs that have ended" })).toContainText("OpenNsfw on SceneCount", { timeout: 15_000 });
});
