// Holds the console to its promises in a real browser, against the real binary: the article's two
// stories in both languages, signing in, and every page in both languages and modes. It fails on
// console errors, violations of the content security policy, requests to elsewhere, pages wider
// than the window, and what axe-core finds. Screenshots go to e2e/shots (SHOTS).
//
//   npm run browser                    everything
//   npm run browser -- pages stories sign-in overview …     some of it, or single pages
import { existsSync, rmSync } from "node:fs";
import { axe, chromiumPath, launch, open, serve, shots, until, wait } from "./harness.mjs";
import { list } from "./pages.mjs";
import { proven } from "./proof.mjs";
import { connect, seed, settled } from "./seed.mjs";
import { abroad, designed, kept, keyed, own, people, refused, signIn, tools } from "./stories.mjs";

// Pages that are not looked at within this time are named, and do not fail: how slow a machine is
// says nothing about the console. Stories run first, and always.
const budgetMs = Number(process.env.BROWSER_SECONDS ?? 180) * 1000;
const beside = Number(process.env.BROWSER_PAGES ?? 3); // pages at a time

const only = process.argv.slice(2);
const wanted = (group, name = group) => only.length === 0 || only.includes(group) || only.includes(name);
if (!chromiumPath()) {
  console.log("The browser tests did not run: there is no Chromium (CHROMIUM names one).");
  process.exit(0);
}
// interactive is how long it takes until a page has its heading, and not that of signing in, and the
// main thread is idle.
async function interactive(p, url, signedOut = false) {
  const from = Date.now();
  await p.goto(url);
  await p.locator(signedOut ? "h1:visible" : "h1:visible:not(.signin h1)").first().waitFor();
  await p.evaluate(() => new Promise((idle) => requestIdleCallback(idle)));
  return Date.now() - from;
}

const problems = [];
const bad = (what) => problems.push(what);
const began = Date.now();
if (only.length === 0 && existsSync(shots)) rmSync(shots, { recursive: true });

// Tokyo takes one call at a time, slowly, so that others go on to Osaka.
// And the operator has drawn a boundary of his own.
const config = `bedrock:
  limits:
    ap-northeast-1: {concurrency: 1}
  simulated:
    regions:
      ap-northeast-1: {latency: 300ms}
  profiles:
    - id: sites.anthropic.claude-sonnet-4-5-20250929-v1:0
      name: Our two sites
      model: anthropic.claude-sonnet-4-5-20250929-v1:0
      routes: {ap-northeast-1: [ap-northeast-1, ap-northeast-3]}
trail: {checkpointEvery: 1s}
`;
const server = await serve({ config });
let browser;
try {
  connect(server.url);
  const made = await seed();
  await until("the seeded executions to end", settled);
  browser = await launch();
  const ctx = { url: server.url, data: server.data, bad };
  // How long one waits for a page, with a cold cache and nothing beside it: stated, not asserted.
  const alone = [];
  if (only.length === 0)
    for (const [name, path] of list(made).filter(([n]) => ["overview", "machine", "succeeded", "playground", "events"].includes(n))) {
      const o = await open(browser, { ...ctx, id: name + "-alone" });
      alone.push(`${name} ${await interactive(o.page, server.url + "/console" + path)} ms`);
      await o.close();
    }
  if (alone.length) console.log(`interactive, cold and alone: ${alone.join(", ")}`);
  const jobs = [];
  for (const locale of ["en", "ja"]) {
    if (wanted("stories", "refused")) jobs.push(() => refused(browser, ctx, locale));
    if (wanted("stories", "abroad")) jobs.push(() => abroad(browser, ctx, locale));
    if (wanted("stories", "people")) jobs.push(() => people(browser, ctx, locale));
    if (wanted("stories", "own")) jobs.push(() => own(browser, ctx, locale));
    if (wanted("stories", "designed")) jobs.push(() => designed(browser, ctx, locale));
    if (wanted("stories", "proven")) jobs.push(() => proven(browser, ctx, locale));
    if (wanted("stories", "tools")) jobs.push(() => tools(browser, ctx, locale));
  }
  if (wanted("stories", "kept")) jobs.push(() => kept(browser, ctx, made));
  if (wanted("stories", "keyed")) jobs.push(() => keyed(browser, ctx, made));
  if (wanted("sign-in")) jobs.push(() => signIn(ctx));
  const skipped = [];
  const times = [];
  // Every page in one language, then in the other: should the time not do, none is left out
  // altogether. A page is loaded in one mode and then turned to the other, as the menu does it.
  for (const [locale, mode, width] of [["en", "light", 1360], ["ja", "dark", 360]])
    for (const [name, path, act] of list(made)) {
      if (!wanted("pages", name)) continue;
      const id = `${name}-${locale}-${width}`;
      jobs.push(async () => {
        if (Date.now() - began > budgetMs) return void skipped.push(id);
        const o = await open(browser, { ...ctx, locale, mode, width, signedOut: name === "signin", id });
        const p = o.page;
        try {
          times.push([await interactive(p, server.url + "/console" + path, name === "signin"), id]);
          await p.waitForLoadState("networkidle", { timeout: 1500 }).catch(() => {}); // some pages poll
          await act?.(p);
          await p.locator("h1:visible").first().waitFor(); // a part that comes late may hide the page for a moment
          const wide = await p.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          if (wide > 1) bad(`${id}: is ${wide} px wider than the window`);
          for (const shown of mode === "light" ? ["light", "dark"] : ["dark", "light"]) {
            await p.evaluate((dark) => document.body.classList.toggle("awsui-dark-mode", dark), shown === "dark");
            await o.shoot(`${id}-${shown}`);
            // What is found while a page still draws itself may be gone a moment later.
            let found = await axe(p);
            for (let again = 0; found.length && again < 5; again++) {
              await wait(1000);
              found = await axe(p);
            }
            for (const x of found) bad(`${id}-${shown}: ${x}`);
          }
        } catch (x) {
          bad(`${id}: ${String(x.message ?? x).replace(/\u001b\[\d+m/g, "").slice(0, 400)}`);
          await o.shoot(id + "-broken");
        }
        await o.close();
      });
    }
  await Promise.all(Array.from({ length: beside }, async () => {
    for (let job; (job = jobs.shift()); ) await job();
  }));
  times.sort((a, b) => b[0] - a[0]);
  if (times.length) {
    const middle = times[Math.floor(times.length / 2)][0];
    console.log(`${times.length} pages, each with a cold cache, ${beside} at a time: heading there and the main thread idle after ${middle} ms (median), ${times[0][0]} ms (${times[0][1]}, the slowest)`);
  }
  if (skipped.length) console.log(`${skipped.length} of ${skipped.length + times.length} views were not looked at, because ${budgetMs / 1000} s were over (BROWSER_SECONDS): ${skipped.join(" ")}`);
} catch (x) {
  bad(String(x.stack ?? x));
} finally {
  await browser?.close();
  await server.stop();
}
for (const p of problems) console.error(p);
console.log(`${problems.length || "no"} problems, ${Math.round((Date.now() - began) / 1000)} s; screenshots in ${shots}`);
process.exitCode = problems.length ? 1 : 0;
