// Drives the page of `qedcrash report` in headless Chromium, as a person would.
// Usage: node page.mjs INDEX.HTML SHOTS STORE-FACTS.json; exit 1 and a line for each thing wrong.
import { createRequire } from "node:module";
import { readFileSync, mkdirSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [index, shots, factsFile] = process.argv.slice(2);
const require = createRequire(process.env.PAGE_MODULES + "/");
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const facts = JSON.parse(readFileSync(factsFile, "utf8"));
const url = pathToFileURL(index).href;
const wrong = [];
const check = (good, what) => { if (!good) wrong.push(what); };

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"],
});

async function open(options) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.on("console", (m) => { if (["error", "warning"].includes(m.type())) wrong.push(`console: ${m.text()}`); });
  page.on("pageerror", (e) => wrong.push(`script: ${e.message}`));
  page.on("request", (r) => { if (!/^(file|data):/.test(r.url())) wrong.push(`network: ${r.url()}`); });
  await page.goto(url);
  return page;
}

// Solid, half and hollow boxes of a picture: what they say survived.
const marks = (figure) => figure.$$eval(".tl-box", (boxes) => boxes.map((b) =>
  ({ name: b.dataset.name, fate: b.dataset.fate, sectors: b.dataset.sectors, text: b.querySelector("text").textContent })));

// "+C#2.5+L2" -> [["C#2", ["5"]], ["L2", []]]: what an id says survived.
function survivorsOf(id) {
  const at = id.match(/:@\d+([^/]*)/);
  const named = new Map();
  for (const part of (at ? at[1] : "").split("+").filter((s) => s && !/^len=/.test(s))) {
    const [, name, sector] = part.match(/^([^.]+)(?:\.(.*))?$/);
    if (!named.has(name)) named.set(name, []);
    if (sector !== undefined) named.get(name).push(sector);
  }
  return named;
}

// Each finding's picture against its id.
async function checkPictures(page) {
  let compared = 0;
  for (const finding of await page.$$(".finding, article")) {
    const id = await finding.$eval("p.id code", (c) => c.dataset.id);
    const picture = await finding.$("svg.tl");
    if (!id.includes(":@")) continue;
    check(picture || /:@0/.test(id), `${id}: no timeline`);
    if (!picture) continue;
    const named = survivorsOf(id);
    const boxes = await marks(picture);
    for (const [name, sectors] of named) {
      const box = boxes.find((b) => b.name === name);
      check(box, `${id}: ${name} survived and is not drawn`);
      if (!box) continue;
      check(["survived", "partly"].includes(box.fate), `${id}: ${name} survived and is drawn as ${box.fate}`);
      if (box.fate === "survived") check(box.text.startsWith("●"), `${id}: ${name} is not solid: ${box.text}`);
      if (box.fate === "partly") {
        check(box.text.startsWith("◐"), `${id}: ${name} is not half: ${box.text}`);
        const drawn = box.sectors.split(",").flatMap((r) => {
          const [a, b = a] = r.split("-").map(Number);
          return Array.from({ length: b - a + 1 }, (_, i) => String(a + i));
        });
        check(sectors.every((s) => s.split(",").every((one) => drawn.includes(one))),
          `${id}: sectors ${sectors} of ${name} survived, ${box.sectors} drawn`);
      }
    }
    for (const b of boxes) if (["survived", "partly"].includes(b.fate) && !/^[RW]/.test(b.name) && !/:ordered/.test(id))
      check(named.has(b.name), `${id}: ${b.name} is drawn as ${b.fate} and did not survive`);
    compared++;
  }
  return compared;
}

async function checkAxe(page, what) {
  await page.evaluate(axe);
  const result = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  for (const v of result.violations)
    wrong.push(`axe, ${what}: ${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 120)).join(" | ")}`);
}

const sizes = { phone: { width: 390, height: 844 }, desktop: { width: 1280, height: 900 } };
mkdirSync(shots, { recursive: true });
let compared = 0, squares = 0;
for (const [size, viewport] of Object.entries(sizes))
  for (const colorScheme of ["light", "dark"]) {
    const page = await open({ viewport, colorScheme });
    check((await page.textContent(".headline")).includes(facts.headline), `headline: ${await page.textContent(".headline")}`);
    // No sideways scrolling of the page itself.
    const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    check(over <= 0, `${size}: the page is ${over} px wider than the window`);
    await page.screenshot({ path: `${shots}/${size}-${colorScheme}-top.png` });
    await checkAxe(page, `${size} ${colorScheme}`);

    const narrowest = await page.$$eval("[aria-labelledby=matrix] tbody th", (all) => Math.min(...all.map((e) => e.clientWidth)));
    check(narrowest >= 60, `${size}: the matrix names its rows in ${narrowest} px`);

    // A square of the matrix leads to its findings, by mouse and by keyboard.
    const links = await page.$$("[aria-labelledby=matrix] table.matrix a");
    squares = links.length;
    check(links.length === facts.squares, `${links.length} squares lead on, the store has ${facts.squares}`);
    if (links.length) {
      const link = links[Math.floor(links.length / 2)];
      const name = (await link.textContent()).match(/: (.*) under (.*), unsafe/);
      if (size === "phone") await link.click(); else { await link.focus(); await page.keyboard.press("Enter"); }
      await page.waitForTimeout(200);
      const target = await page.$(":target");
      check(target, "the square leads nowhere");
      if (target) {
        check(await target.evaluate((d) => d.open), "the square's findings stay closed");
        const box = await target.boundingBox();
        check(box && box.y < viewport.height && box.y > -50, `the square's findings are not in sight: y ${box && box.y}`);
        const title = await target.$eval("summary", (s) => s.textContent);
        check(title.includes(name[1]) && title.includes(name[2]), `the square of ${name[1]}, ${name[2]} leads to ${title}`);
        check(await target.$("svg.tl"), "no timeline where the square leads");
        const hidden = await target.$$eval("svg.tl", (all) => all.filter((svg) => {
          const line = svg.querySelector(".tl-crash line").getBoundingClientRect();
          const pane = svg.parentElement.getBoundingClientRect();
          return pane.width > 0 && (line.x < pane.x || line.x > pane.right);
        }).length);
        check(!hidden, `${size}: the crash is out of sight in ${hidden} timelines`);
        await page.screenshot({ path: `${shots}/${size}-${colorScheme}-finding.png` });
      }
    }
    for (const part of ["bugs", "cost", "ledger", "trend", "utilisation", "fuzzers"]) {
      await page.evaluate((id) => { document.getElementById(id).scrollIntoView(); }, part);
      await page.waitForTimeout(100);
      await page.screenshot({ path: `${shots}/${size}-${colorScheme}-${part}.png` });
    }
    if (size === "desktop" && colorScheme === "light") {
      await page.evaluate(() => document.querySelectorAll("details").forEach((d) => { d.open = true; }));
      compared = await checkPictures(page);
      check(compared >= facts.bugs && compared > 0, `only ${compared} pictures compared`);
      await checkAxe(page, "everything open");
    }
    await page.context().close();
  }

// Without its script the page says the same: the squares still lead to something, and all text is there.
{
  const page = await open({ viewport: sizes.desktop, javaScriptEnabled: false });
  check((await page.$$("article")).length === facts.bugs, `without script: not ${facts.bugs} bugs`);
  const link = await page.$("table.matrix a");
  if (link) {
    const to = (await link.getAttribute("href")).slice(1);
    check(await page.$(`[id="${to}"]`), `without script: ${to} is nowhere`);
  }
  await page.emulateMedia({ media: "print" });
  await page.pdf({ path: `${shots}/print.pdf` });
  await page.context().close();
}
// Every link within the page has a place, and no two places have one name.
{
  const page = await open({ viewport: sizes.desktop });
  const bad = await page.evaluate(() => {
    const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
    const twice = ids.filter((id, i) => ids.indexOf(id) !== i);
    const lost = [...document.querySelectorAll("a[href^='#']")].map((a) => a.hash.slice(1)).filter((h) => !ids.includes(h));
    return { twice, lost };
  });
  check(!bad.twice.length, `ids used twice: ${bad.twice.slice(0, 5)}`);
  check(!bad.lost.length, `links to nowhere: ${bad.lost.slice(0, 5)}`);
  await page.context().close();
}
await browser.close();
for (const w of wrong) console.log(w);
console.log(`${squares} squares, ${compared} pictures compared, ${wrong.length} wrong`);
process.exit(wrong.length ? 1 : 0);
