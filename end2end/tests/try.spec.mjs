// A photo in, three outputs out, in a real browser, against known facts.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PNG } from "pngjs";
import { expect, open, sample, target, test } from "./page.mjs";

const card = (page, task) => page.locator(`[data-encoder="EfficientNetLite0"] [data-task="${task}"]`);

test("an uploaded photo gets its class, mask and depth", async ({ page }) => {
  await open(page, "/try");
  await page.setInputFiles('input[type="file"]', sample("chelsea.png"));
  await expect(page).toHaveURL(/\/try\?image=[0-9a-f]{64}&encoder=EfficientNetLite0$/);
  const classes = card(page, "Imagenet").locator(".classes li");
  await expect(classes.first()).toContainText("Egyptian cat");
  const probability = parseFloat(await classes.first().locator(".score").innerText());
  expect(Math.abs(probability - 76.3)).toBeLessThan(1);
  await expect(card(page, "SceneSegmentation").locator(".layers img.mask")).toBeVisible();
  await expect(card(page, "SceneDepth").locator(".layers img")).toBeVisible();
  await expect(card(page, "SceneDepth").locator(".time")).toHaveText(/^\d+ ms$/);
  // Beside it, the leaderboard of the task with this encoder marked.
  await expect(card(page, "SceneDepth").locator(".standing .marked")).toContainText("EfficientNet-Lite0");
});

test("mask and depth of a rendered scene are near its truth", async ({ page, request, baseURL }) => {
  const folder = mkdtempSync(join(tmpdir(), "virboard-scene-"));
  execFileSync(join(target, "release/virboard"), ["scene", "--seed", "424242", "--out", folder]);
  const png = (bytes, options) => PNG.sync.read(bytes, options);
  await open(page, "/try");
  await page.setInputFiles('input[type="file"]', join(folder, "picture.png"));
  const download = async (task, name) => {
    const link = card(page, task).locator(".downloads a", { hasText: name });
    return png(await (await request.get(baseURL + (await link.getAttribute("href")))).body(), { skipRescale: true });
  };
  const [mask, truth] = [await download("SceneSegmentation", "Mask"), png(readFileSync(join(folder, "mask.png")))];
  expect([mask.width, mask.height]).toEqual([640, 480]);
  let right = 0;
  for (let i = 0; i < truth.data.length; i += 4) right += mask.data[i] === truth.data[i];
  expect(right / (truth.data.length / 4)).toBeGreaterThan(0.8);

  const depth = await download("SceneDepth", "Depth");
  const far = png(readFileSync(join(folder, "depth.png")), { skipRescale: true });
  const ends = await card(page, "SceneDepth").locator(".ends span").allInnerTexts();
  const [low, high] = ends.map((t) => parseFloat(t.replace(/[^0-9.-]/g, "")));
  let error = 0;
  for (let i = 0; i < far.data.length; i += 4) {
    error += Math.abs(low + ((high - low) * depth.data[i]) / 65535 - (20 * far.data[i]) / 65535);
  }
  expect(error / (far.data.length / 4)).toBeLessThan(2);
});

test("opacity, legend, the value under the pointer and downloads work", async ({ page }) => {
  await open(page, "/try");
  await page.locator(".thumb", { hasText: "Two views" }).click();
  const mask = card(page, "SceneSegmentation").locator("img.mask");
  await card(page, "SceneSegmentation").locator('input[type="range"]').fill("20");
  await expect(mask).toHaveCSS("opacity", "0.2");
  await expect(card(page, "SceneSegmentation").locator(".legend li").first()).toContainText("%");
  const layers = card(page, "SceneDepth").locator(".layers");
  await layers.hover({ position: { x: 30, y: 30 } });
  await expect(async () => {
    await layers.hover({ position: { x: 40, y: 40 } });
    await layers.hover({ position: { x: 44, y: 44 } });
    await expect(layers.locator(".under")).toHaveText(/^\d+\.\d\d m$/, { timeout: 500 });
  }).toPass();
  const waiting = page.waitForEvent("download");
  await card(page, "SceneSegmentation").locator(".downloads a", { hasText: "Overlay" }).click();
  expect((await waiting).suggestedFilename()).toBe("overlay.png");
});

test("a second encoder stands next to the first, and the link shows the same", async ({ page, context }) => {
  await open(page, "/try");
  await page.locator(".thumb", { hasText: "Coffee" }).click();
  await expect(card(page, "Imagenet")).toContainText("espresso");
  await page.locator('select[name="with"]').selectOption("OpenNsfw");
  await expect(page.locator('[data-encoder="OpenNsfw"] [data-task="SceneDepth"]')).toBeVisible();
  const other = await context.newPage();
  await open(other, page.url());
  await expect(other.locator('[data-encoder="OpenNsfw"] [data-task="SamplePhotos"] .classes li').first()).toBeVisible();
  await expect(card(other, "Imagenet")).toContainText("espresso");
});

test("a photo can be dropped and pasted", async ({ page }) => {
  await open(page, "/try");
  const bytes = readFileSync(sample("coffee.png")).toString("base64");
  const hand = (kind) =>
    page.evaluate(
      ([kind, bytes]) => {
        const data = new DataTransfer();
        data.items.add(new File([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], "coffee.png", { type: "image/png" }));
        const event =
          kind === "drop"
            ? new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })
            : new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true });
        (kind === "drop" ? document.querySelector(".drop") : document.body).dispatchEvent(event);
      },
      [kind, bytes],
    );
  for (const kind of ["drop", "paste"]) {
    await open(page, "/try");
    await hand(kind);
    await expect(card(page, "Imagenet")).toContainText("espresso");
  }
});

test("what is dropped or pasted and is no photo is named", async ({ page }) => {
  await open(page, "/try");
  const posts = [];
  page.on("request", (r) => r.method() === "POST" && posts.push(r.url()));
  const bytes = readFileSync(sample("coffee.png")).toString("base64");
  const hand = (kind, what) =>
    page.evaluate(
      ([kind, what, bytes]) => {
        const data = new DataTransfer();
        const file = (name) => data.items.add(new File([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], name, { type: "image/png" }));
        if (what === "address") {
          data.setData("text/uri-list", "https://example.org/cat.jpg");
          data.setData("text/html", '<img src="https://example.org/cat.jpg">');
        } else if (what === "text") data.setData("text/plain", "a cat");
        else if (what === "files") ["a.png", "b.png"].forEach(file);
        const options = { bubbles: true, cancelable: true };
        const event =
          kind === "paste"
            ? new ClipboardEvent("paste", { clipboardData: data, ...options })
            : new DragEvent("drop", { dataTransfer: data, ...options });
        document.querySelector(kind === "drop" ? ".drop" : "body").dispatchEvent(event);
      },
      [kind, what, bytes],
    );
  const sentences = { address: "address of a picture", text: "That is text", files: "One photo at a time", nothing: "no picture in that" };
  for (const kind of ["drop", "beside", "paste"]) {
    await open(page, "/try");
    for (const [what, sentence] of Object.entries(sentences)) {
      await hand(kind, what);
      await expect(page.getByRole("alert"), `${kind} of ${what}`).toContainText(sentence);
      await expect(page.locator(".drop.busy")).toHaveCount(0);
    }
  }
  expect(posts).toEqual([]);
  // The next one works, wherever it is dropped.
  await hand("beside", "files");
  await page.setInputFiles('input[type="file"]', sample("coffee.png"));
  await expect(card(page, "Imagenet")).toContainText("espresso");
  await expect(page.locator(".problem")).toBeHidden();
});

test("a photo behind which a phone has put a video is read like the photo", async ({ page }) => {
  const video = Buffer.concat([Buffer.from("MotionPhoto_Data\0\0\0\x18ftypmp42"), Buffer.alloc(200, 17), Buffer.from([255, 218]), Buffer.alloc(200, 17)]);
  await open(page, "/try");
  const buffer = Buffer.concat([readFileSync(sample("rocket.jpg")), video]);
  await page.setInputFiles('input[type="file"]', { name: "PXL_MP.jpg", mimeType: "image/jpeg", buffer });
  await expect(card(page, "Imagenet")).toContainText("missile");
});

test.describe("bad files", () => {
  test.beforeEach(() => {
    // The browser itself logs answers of 4xx.
    test.allowed = /Failed to load resource/;
  });
  test("are explained, and the next good one works", async ({ page }) => {
    await open(page, "/try");
    await page.setInputFiles('input[type="file"]', { name: "photo.jpg", mimeType: "image/jpeg", buffer: Buffer.from("no photo") });
    await expect(page.getByRole("alert")).toContainText("This is not a picture that can be read");
    const heic = Buffer.from("\0\0\0\x18ftypheic\0\0\0\0mif1heic");
    await page.setInputFiles('input[type="file"]', { name: "IMG_0001.HEIC", mimeType: "image/heic", buffer: heic });
    await expect(page.getByRole("alert")).toContainText("This is a HEIC photo");
    await page.setInputFiles('input[type="file"]', sample("rocket.jpg"));
    await expect(card(page, "Imagenet")).toContainText("missile");
    await expect(page.locator(".problem")).toBeHidden();
  });
});

test.describe("without JavaScript", () => {
  test.use({ javaScriptEnabled: false });
  test("the form uploads and the page shows all outputs", async ({ page }) => {
    await page.goto("/try");
    await page.setInputFiles('input[type="file"]', sample("coffee.png"));
    await page.getByRole("button", { name: "Upload" }).click();
    await expect(page).toHaveURL(/image=[0-9a-f]{64}/);
    await expect(card(page, "Imagenet")).toContainText("espresso");
    await expect(card(page, "SceneDepth")).toBeVisible();
  });
});

test("the motion between two photos is shown, and the second photo can be removed", async ({ page }) => {
  await open(page, "/try");
  await expect(card(page, "SceneFlow")).toHaveCount(0);
  await page.locator(".thumb", { hasText: "Two views" }).click();
  await expect(page).toHaveURL(/second=[0-9a-f]{64}/);
  const flow = card(page, "SceneFlow");
  await expect(flow.locator("header")).toContainText("motion");
  await expect(flow.locator('img[src$="arrows.svg"]')).toBeVisible();
  const arrows = await page.request.get(await flow.locator('img[src$="arrows.svg"]').getAttribute("src"));
  expect(arrows.headers()["content-type"]).toBe("image/svg+xml");
  await expect(flow.locator(".ends")).toContainText(/longest \d+\.\d px/);
  await expect(card(page, "SceneEgomotion").locator("li, tr").first()).toContainText("%");
  const shared = page.url();
  await page.getByRole("button", { name: "Remove the second photo" }).click();
  await expect(page).not.toHaveURL(/second=/);
  await expect(card(page, "SceneFlow")).toHaveCount(0);
  await page.goto(shared);
  await expect(card(page, "SceneFlow").locator(".layers")).toBeVisible();
  await page.locator('.second input[type="file"]').setInputFiles("../public/samples/coffee.png");
  await expect(page).not.toHaveURL(shared);
  await expect(card(page, "SceneFlow").locator(".layers")).toBeVisible();
});
