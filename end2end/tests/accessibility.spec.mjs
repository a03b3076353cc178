// WCAG 2 A and AA on every page, in both themes: contrast, names, roles, landmarks.
import AxeBuilder from "@axe-core/playwright";
import { expect, open, sample, test } from "./page.mjs";

// Each list within the time of a test.
const pages = {
  readers: [
    "/",
    "/?fold=image-semantic&hide=SceneDepth&sort=-name,place&show=normalised",
    "/choose",
    "/compare?suite=miniature&e=Mini_SWAV_800,Mini_MoCov2_800",
    "/miniature",
    "/analyses",
    ...[
      "claims", "imagenet", "correlation", "supervised", "methods", "categories", "datasets", "similar", "balance", "training",
      "epochs", "imagenet-v2", "first", "layers", "fine-tuned", "contrasts", "order", "few",
    ].map((s) => `/analyses/${s}`),
    "/try",
    "/encoders/SWAV_800",
    "/encoders/OpenNsfw",
    "/tasks/NYUDepth",
    "/tasks/SceneSegmentation",
  ],
  team: [
    "/runs",
    "/runs?group=seeds&q=task:Scene&ids=1,2",
    "/runs?view=grid",
    "/runs?view=grid&shade=score",
    "/runs?q=lr%3C",
    "/runs/1",
    "/runs/compare?ids=1,2,3",
    "/queue",
    "/launch?encoders=Random&tasks=SceneCount",
    "/sign-in",
    "/account",
  ],
};

async function check(page, address) {
  const { violations } = await new AxeBuilder({ page }).withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]).analyze();
  const found = violations.map((v) => `${address} ${v.id}: ${v.nodes.slice(0, 3).map((n) => n.target.join(" ")).join(", ")} (${v.nodes[0].failureSummary})`);
  expect(found).toEqual([]);
}

for (const colorScheme of ["light", "dark"]) {
  test.describe(colorScheme, () => {
    test.use({ colorScheme });

    for (const [whose, width] of Object.keys(pages).flatMap((whose) => [390, 1440].map((width) => [whose, width]))) {
      test(`pages for ${whose} of ${width} pixels are accessible and stand still`, async ({ page }) => {
        test.setTimeout(240_000);
        await page.setViewportSize({ width, height: 900 });
        await page.addInitScript(() => {
          window.shift = 0;
          new PerformanceObserver((list) => {
            for (const e of list.getEntries()) if (!e.hadRecentInput) window.shift += e.value;
          }).observe({ type: "layout-shift", buffered: true });
        });
        for (const address of pages[whose]) {
          await open(page, address);
          await check(page, address);
          expect(await page.evaluate(() => window.shift), `layout shift of ${address}`).toBeLessThan(0.05);
          const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
          expect(over, `${address} is too wide`).toBeLessThanOrEqual(0);
        }
      });
    }

    test("a result is accessible", async ({ page }) => {
      await open(page, "/try");
      await page.setInputFiles('input[type="file"]', sample("coffee.png"));
      await expect(page.locator('[data-task="SceneDepth"]')).toBeVisible();
      await check(page, "/try with a result");
    });
  });
}

test("everything can be reached with the keyboard", async ({ page }) => {
  await open(page, "/try");
  const reached = [];
  for (let i = 0; i < 30; i++) {
    await page.keyboard.press("Tab");
    reached.push(await page.evaluate(() => document.activeElement?.getAttribute("name") ?? document.activeElement?.textContent ?? ""));
  }
  for (const name of ["Skip to content", "image", "encoder", "with"]) expect(reached).toContain(name);
  await page.goto("/");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/#main$/);
});
