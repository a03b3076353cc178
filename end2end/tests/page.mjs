// What the tests share: opening a page and waiting until it is alive, with no error on the
// console and no request to anybody else.
import { expect, test as base } from "@playwright/test";
import { join } from "node:path";
import { root } from "../target.mjs";

export { target } from "../target.mjs";
export const sample = (name) => join(root, "public/samples", name);

export const test = base.extend({
  page: async ({ page, baseURL }, use) => {
    const problems = [];
    page.on("console", (m) => m.type() === "error" && problems.push(m.text()));
    page.on("pageerror", (e) => problems.push(e.message));
    page.on("request", (r) => {
      const foreign = !r.url().startsWith(baseURL) && !/^(data|blob):/.test(r.url());
      if (foreign) problems.push(`request to ${r.url()}`);
    });
    await use(page);
    expect(problems.filter((p) => !test.allowed?.test(p))).toEqual([]);
  },
});

export async function open(page, address) {
  await page.goto(address);
  await expect(page.locator("html")).toHaveAttribute("data-hydrated", "");
}

export { expect };
