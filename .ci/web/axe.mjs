// Runs axe on built pages in Chromium, in light on a desk and in dark on a phone, and prints what it finds serious:
// axe.mjs FOLDER [PAGE...]. The page of an error is left out: only on a server does it find its style.
import axe from "axe-core";
import puppeteer from "puppeteer-core";
import { readdirSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const SERIOUS = ["serious", "critical"];
const [folder, ...chosen] = process.argv.slice(2);
const root = resolve(folder);
const pages = chosen.length
  ? chosen.map((page) => join(root, page))
  : readdirSync(root, { recursive: true }).filter((name) => name.endsWith(".html") && name !== "404.html").sort().map((name) => join(root, name));

const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-dev-shm-usage"],
});
let found = 0;
try {
  for (const [scheme, width] of [["light", 1280], ["dark", 390]]) {
    const context = await browser.createBrowserContext(); // the theme remembers a scheme
    for (const file of pages) {
      const page = await context.newPage();
      await page.setViewport({ width, height: 900 });
      await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
      await page.goto(pathToFileURL(file).href, { waitUntil: "load" });
      await page.evaluate(axe.source);
      const { violations } = await page.evaluate(() => globalThis.axe.run({ resultTypes: ["violations"] }));
      for (const { id, impact, help, nodes } of violations.filter((each) => SERIOUS.includes(each.impact))) {
        found += 1;
        const where = `${relative(root, file)} (${scheme}, ${width} pixels)`;
        console.log(`${where}: ${impact}: ${id}: ${help}, ${nodes.length} times, first ${nodes[0].target.join(" ")}`);
      }
      await page.close();
    }
    await context.close();
  }
} finally {
  await browser.close();
}
console.log(`${pages.length} pages, each twice: ${found} serious findings`);
process.exit(found ? 1 : 0);
