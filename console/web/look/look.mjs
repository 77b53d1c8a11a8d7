// Looks at every page of the console in a real browser, in both languages and both modes, against
// a development server of its own. It fails on console errors, violations of the content security
// policy, requests to elsewhere, and what axe-core finds; screenshots go to SHOTS.
//
//   TOKAIDO_BIN=../../bin/tokaido SHOTS=/somewhere npm run look [-- page …]
import { chromium } from "playwright-core";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const binary = resolve(process.env.TOKAIDO_BIN ?? "../../bin/tokaido");
const shots = process.env.SHOTS;
const only = process.argv.slice(2).filter((a) => !a.startsWith("-"));
const quick = process.argv.includes("--quick"); // Japanese in the dark, English in the light
const dir = mkdtempSync(join(tmpdir(), "tokaido-look-"));
const file = join(dir, "endpoint");
const log = [];
// Tokyo takes one call at a time, slowly, so that others go on to Osaka.
const config = join(dir, "tokaido.yaml");
writeFileSync(config, "bedrock:\n  limits:\n    ap-northeast-1: {concurrency: 1}\n  simulated:\n    regions:\n      ap-northeast-1: {latency: 300ms}\n");
const server = spawn(binary, ["serve", "--dev", "--config", config, "--listen", "127.0.0.1:0", "--data-dir", join(dir, "data"), "--endpoint-file", file], { stdio: ["ignore", "ignore", "pipe"] });
server.stderr.on("data", (b) => log.push(String(b)));
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
async function endpoint() {
  for (let i = 0; i < 100; i++) {
    try {
      return readFileSync(file, "utf8").trim();
    } catch {
      await wait(100);
    }
  }
  throw new Error("the server did not start:\n" + log.join(""));
}

// signIn holds the one-time link of an ordinary server, and its key form, to what they promise.
async function signIn() {
  const data = join(dir, "plain");
  const plain = spawn(binary, ["serve", "--listen", "127.0.0.1:0", "--data-dir", data], { stdio: ["ignore", "ignore", "pipe"] });
  try {
    const link = await new Promise((found, lost) => {
      let text = "";
      plain.stderr.on("data", (b) => {
        const m = /Console .*?(http\S+#signin=\S+)/.exec((text += b));
        if (m) found(m[1]);
      });
      plain.once("exit", () => lost(new Error("no link: " + text)));
    });
    const context = await browser.newContext({ locale: "en" });
    const p = await context.newPage();
    const expect = async (what, locator) => locator.first().waitFor({ timeout: 15000 }).catch(() => problems.push("sign-in: " + what));
    const heading = (name) => p.getByRole("heading", { name, exact: true });
    await p.goto(link);
    await expect("the link leads to the overview", heading("Overview"));
    if (p.url().includes("signin")) problems.push("sign-in: the token stays in the address");
    await p.reload();
    await expect("nobody is signed in after a reload", heading("Sign in"));
    await p.goto("about:blank");
    await p.goto(link);
    await expect("a link works once", p.getByText("this sign-in link was used already"));
    const key = JSON.parse(readFileSync(join(data, "root-key.json"), "utf8"));
    await p.getByLabel("Access key ID").fill(key.AccessKeyId);
    await p.getByLabel("Secret access key").fill(key.SecretAccessKey);
    await p.getByLabel("Stay signed in").check();
    await p.getByRole("button", { name: "Sign in" }).click();
    await expect("a key leads to the overview", heading("Overview"));
    if ((await p.evaluate(() => JSON.stringify([localStorage, sessionStorage]))).includes(key.SecretAccessKey)) problems.push("sign-in: the key is kept");
    await p.reload();
    await expect("a tab that was told to stays signed in", heading("Overview"));
    await context.close();
  } finally {
    plain.kill("SIGTERM");
    await new Promise((done) => plain.once("exit", done));
  }
}

// story creates a machine with a role that names an ARN that cannot exist, runs it, is told why it
// was refused, mends nothing, and finds the refusal in the trail.
async function story(url) {
  const context = await browser.newContext({ locale: "en", viewport: { width: 1360, height: 1000 } });
  await context.addInitScript(() => localStorage.setItem("tokaido.locale", "en"));
  const p = await context.newPage();
  p.on("pageerror", (x) => problems.push("story: page error: " + x.message));
  const step = async (what, f) => {
    try {
      await f();
    } catch (x) {
      if (shots) await p.screenshot({ path: join(shots, "story-broken.png"), fullPage: true });
      throw new Error(`story: ${what}: ${String(x).slice(0, 300)}`);
    }
  };
  const sees = (text) => p.getByText(text).first().waitFor({ timeout: 15000 });
  try {
    await step("what is wrong in a definition is underlined, in the server's words", async () => {
      await p.goto(url + "/console/state-machines/create");
      await p.locator(".cm-content").click();
      await p.keyboard.press("Control+a");
      await p.keyboard.insertText('{"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}}}');
      await sees(/Errors: [1-9]/);
      await p.locator(".cm-lintRange-error").first().waitFor();
      await p.getByRole("button", { name: /Errors:/ }).click();
      await sees(/MISSING_TRANSITION_TARGET/);
    });
    await step("a machine is created", async () => {
      await p.getByRole("button", { name: /^Start from/ }).click();
      await p.getByRole("option", { name: "A single Pass state" }).click();
      await p.getByRole("button", { name: /^Start from/ }).click();
      await p.getByRole("option", { name: /^Ask a model/ }).click();
      await p.getByLabel("Name").fill("from-the-console");
      await p.getByRole("button", { name: /^Execution role/ }).click();
      await p.getByRole("option", { name: /PastedRole/ }).click();
      await p.getByRole("button", { name: "Create state machine" }).last().click();
      await p.getByRole("heading", { name: "from-the-console" }).waitFor({ timeout: 15000 });
    });
    await step("it runs and is refused", async () => {
      await p.getByRole("button", { name: "Start execution" }).click();
      await p.getByRole("dialog").getByRole("textbox").last().fill('{"prompt": "こんにちは"}');
      await p.getByRole("dialog").getByRole("button", { name: "Start execution" }).click();
      await sees("The execution failed in “Ask Claude”");
      await sees("1 denied");
    });
    await step("why", async () => {
      await p.getByRole("button", { name: "Why?" }).first().click();
      await sees("No identity-based policy allows it");
      await sees(/tokaido policy explain [0-9a-f-]{36}/);
      await p.getByRole("dialog").getByRole("button", { name: "Close", exact: true }).click();
    });
    await step("the state is chosen, and its model call leads to the record", async () => {
      await p.getByRole("button", { name: "Show step" }).click();
      await p.getByRole("tab", { name: /Model calls/ }).click();
      await p.locator("a[href*='/events?id=']").first().click();
      await sees("Event record");
      await sees('"errorCode": "AccessDenied"');
    });
  } catch (x) {
    problems.push(String(x));
  }
  await context.close();
}

const problems = [];
let browser;
try {
  process.env.ENDPOINT = await endpoint();
  const url = process.env.ENDPOINT;
  const { seed, profile } = await import("./seed.mjs");
  const made = await seed();
  await wait(5000); // retries end, and the machine's Wait
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  const page = (p) => `${url}/console${p}`;
  const e = encodeURIComponent;
  const pages = {
    overview: ["/"],
    machines: ["/state-machines"],
    create: ["/state-machines/create"],
    machine: ["/state-machines/" + e(made.machine)],
    succeeded: ["/executions/" + e(made.succeeded) + "?state=Summarize"],
    failed: ["/executions/" + e(made.failed), async (p) => {
      await p.locator("button", { hasText: /^(Why\?|なぜ\?)$/ }).first().click();
      await wait(300);
    }],
    running: ["/executions/" + e(made.running)],
    models: ["/models"],
    profiles: ["/profiles"],
    profile: ["/profiles/" + e(profile)],
    playground: ["/playground?model=" + e(profile), async (p) => {
      const box = p.locator("textarea").last();
      await box.fill("こんにちは。Where are you?");
      await box.press("Enter");
      await p.getByText(/Answered in|が応答/).first().waitFor({ timeout: 15000 });
    }],
    events: ["/events"],
    signin: ["/", null, true],
  };
  for (const locale of ["en", "ja"]) {
    for (const mode of ["light", "dark"]) {
      for (const [name, [path, act, out]] of Object.entries(pages)) {
        if (quick && (locale === "en") !== (mode === "light")) continue;
        if (only.length && !only.includes(name)) continue;
        for (const width of name === "succeeded" || name === "overview" ? [1360, 360] : [1360]) {
          const id = `${name}-${locale}-${mode}-${width}`;
          const context = await browser.newContext({ viewport: { width, height: 1000 }, locale });
          await context.addInitScript(
            ([l, m, o]) => {
              localStorage.setItem("tokaido.locale", l);
              localStorage.setItem("tokaido.mode", m);
              if (o) sessionStorage.setItem("tokaido.signed-out", "1");
              document.addEventListener("securitypolicyviolation", (v) => console.error("CSP", v.violatedDirective, v.blockedURI, v.sourceFile, v.lineNumber));
            },
            [locale, mode, out === true],
          );
          const p = await context.newPage();
          const bad = (what) => problems.push(`${id}: ${what}`);
          p.on("console", (m) => ["error", "warning"].includes(m.type()) && bad(`console ${m.type()}: ${m.text()}`));
          p.on("pageerror", (x) => bad("page error: " + x.message));
          p.on("request", (r) => !r.url().startsWith(url) && !/^(data|blob):/.test(r.url()) && bad("request to " + r.url()));
          try {
            const began = Date.now();
            await p.goto(page(path));
            await p.locator("h1:visible").first().waitFor({ timeout: 20000 });
            const ms = Date.now() - began;
            await p.waitForLoadState("networkidle", { timeout: 2500 }).catch(() => {}); // some pages poll
            await wait(500);
            await act?.(p);
            if (locale === "en" && mode === "light") console.log(`${id}: heading after ${ms} ms`);
            const wide = await p.evaluate(() => document.documentElement.scrollWidth - innerWidth);
            if (wide > 1) bad(`is ${wide} px wider than the window`);
            if (shots) {
              mkdirSync(shots, { recursive: true });
              await p.screenshot({ path: join(shots, id + ".png"), fullPage: true });
            }
            await p.evaluate(readFileSync("node_modules/axe-core/axe.min.js", "utf8"));
            const r = await p.evaluate(() => globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
            // Cloudscape's narrow toolbar sets aria-orientation on a nav element; it is the library's to mend
            for (const v of r.violations.filter((x) => !(x.id === "aria-allowed-attr" && x.nodes.every((n) => n.html.includes("mobile-toolbar-nav"))))) bad(`axe ${v.id}: ${v.nodes.slice(0, 2).map((n) => n.html.slice(0, 160)).join(" | ")}`);
          } catch (x) {
            bad(String(x).slice(0, 400));
            if (shots) await p.screenshot({ path: join(shots, id + "-broken.png") }).catch(() => {});
          }
          await context.close();
        }
      }
    }
  }
  if (!only.length || only.includes("story")) await story(url);
  if (!only.length || only.includes("link")) await signIn();
} finally {
  await browser?.close();
  server.kill("SIGTERM");
  await new Promise((done) => server.once("exit", done));
  rmSync(dir, { recursive: true, force: true });
}
for (const p of problems) console.error(p);
console.log(problems.length ? `${problems.length} problems` : "no problems");
process.exitCode = problems.length ? 1 : 0;
