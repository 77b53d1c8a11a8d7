// A server of its own, a browser, and pages that are watched.
import { chromium } from "playwright-core";
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

export const shots = resolve(process.env.SHOTS ?? "e2e/shots"); // git-ignored
export const patience = 45_000; // for anything to appear; the machine may be busy
export const wait = (ms) => new Promise((done) => setTimeout(done, ms));
export const binary = resolve(process.env.TOKAIDO_BIN ?? "../../bin/tokaido");

export function chromiumPath() {
  return [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((p) => p && existsSync(p));
}

export const launch = () =>
  chromium.launch({
    executablePath: chromiumPath(),
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });

// until awaits what f finds.
export async function until(what, f, ms = patience) {
  const end = Date.now() + ms;
  for (;;) {
    const found = await f();
    if (found) return found;
    if (Date.now() > end) throw new Error("waited in vain for " + what);
    await wait(50);
  }
}

// serve starts a server; the test has to stop it.
export async function serve({ dev = true, config = "" } = {}) {
  const dir = mkdtempSync(join(tmpdir(), "tokaido-browser-"));
  const file = join(dir, "endpoint");
  const args = ["serve", "--listen", "127.0.0.1:0", "--data-dir", join(dir, "data"), "--endpoint-file", file];
  if (dev) args.push("--dev");
  if (config) {
    writeFileSync(join(dir, "tokaido.yaml"), config);
    args.push("--config", join(dir, "tokaido.yaml"));
  }
  let log = "";
  let gone;
  const child = spawn(binary, args, { stdio: ["ignore", "ignore", "pipe"] });
  child.stderr.on("data", (b) => (log += b));
  child.once("error", (e) => (gone = e));
  child.once("exit", (code) => (gone = new Error(`the server ended with ${code}:\n${log}`)));
  const url = await until("the server", () => {
    if (gone) throw gone;
    return existsSync(file) && readFileSync(file, "utf8").trim();
  });
  return {
    url,
    data: join(dir, "data"),
    log: () => log,
    async stop() {
      if (!gone) {
        child.kill("SIGTERM");
        await until("the server to end", () => gone, 30_000).catch(() => child.kill("SIGKILL"));
      }
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

// command is what a command of the binary prints.
export function command(...args) {
  const env = { ...process.env };
  for (const k of Object.keys(env)) if (k.startsWith("AWS_")) delete env[k];
  return execFileSync(binary, args, { encoding: "utf8", env, stdio: ["ignore", "pipe", "ignore"], timeout: patience });
}

// open is a page with a cold cache, that says what went wrong on it.
export async function open(browser, { url, locale = "en", mode = "light", width = 1360, signedOut = false, id, bad }) {
  const context = await browser.newContext({ viewport: { width, height: 1000 }, locale, acceptDownloads: true });
  await context.addInitScript(
    ([l, m, o]) => {
      if (!location.href.startsWith("http")) return;
      localStorage.setItem("tokaido.locale", l);
      localStorage.setItem("tokaido.mode", m);
      if (o) sessionStorage.setItem("tokaido.signed-out", "1");
      document.addEventListener("securitypolicyviolation", (v) => console.error("CSP", v.violatedDirective, v.blockedURI, v.sourceFile, v.lineNumber));
    },
    [locale, mode, signedOut],
  );
  const page = await context.newPage();
  page.setDefaultTimeout(patience);
  // A refusal that a story provokes is an answer with status 403, which Chromium writes to the console.
  page.on("console", (m) => ["error", "warning"].includes(m.type()) && !/status of 4\d\d/.test(m.text()) && bad(`${id}: console ${m.type()}: ${m.text()}`));
  page.on("pageerror", (x) => bad(`${id}: page error: ${x.message}`));
  page.on("request", (r) => !r.url().startsWith(url) && !/^(data|blob):/.test(r.url()) && bad(`${id}: request to ${r.url()}`));
  return {
    page,
    shoot: async (name = id) => {
      mkdirSync(shots, { recursive: true });
      await page.screenshot({ path: join(shots, name + ".png"), fullPage: true }).catch(() => {});
    },
    close: () => context.close(),
  };
}

const axeSource = readFileSync("node_modules/axe-core/axe.min.js", "utf8");

// axe gives what axe-core finds.
export async function axe(page) {
  await page.evaluate(axeSource);
  const r = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"], resultTypes: ["violations"] }));
  // Cloudscape's narrow toolbar sets aria-orientation on a nav element; it is the library's to mend.
  return r.violations
    .filter((x) => !(x.id === "aria-allowed-attr" && x.nodes.every((n) => n.html.includes("mobile-toolbar-nav"))))
    .map((v) => `axe ${v.id}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 200)).join(" | ")}`);
}
