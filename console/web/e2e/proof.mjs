// A record's proof and a report's receipts are checked in the browser; what was changed on the way
// is not believed; and what is downloaded convinces the command line too.
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { axe, binary, open } from "./harness.mjs";
import { pattern, speaker } from "./texts.mjs";

const isProof = (r) => (r.headers()["x-amz-target"] ?? "").endsWith(".GetEventProof");
const isLookup = (r) => (r.headers()["x-amz-target"] ?? "").endsWith(".LookupEvents");

// through changes answers on their way to the page.
async function through(p, is, edit) {
  await p.route("**/*", async (route) => {
    if (!is(route.request())) return route.fallback();
    const answer = await route.fetch();
    const body = edit(await answer.json());
    await route.fulfill({ response: answer, json: body });
  });
}

// inside changes the record in a proof.
const inside = (proof, edit) => proof.replace(/(?<=\nrecord )\S+/, (data) => Buffer.from(edit(Buffer.from(data, "base64").toString())).toString("base64"));

export async function proven(browser, ctx, locale) {
  const t = await speaker(locale, "proof");
  const id = "proven-" + locale;
  const width = locale === "ja" ? 360 : 1360;
  const o = await open(browser, { ...ctx, locale, mode: locale === "ja" ? "dark" : "light", width, id });
  const p = o.page;
  const sees = (text, n = 1) => p.getByText(text).nth(n - 1).waitFor();
  const never = async (text) => {
    if (await p.getByText(text).count()) throw new Error(`the page says ${text}`);
  };
  const checked = async (name) => {
    const wide = await p.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (wide > 1) ctx.bad(`${id}: ${name} is ${wide} px wider than the window`);
    await o.shoot(`${id}-${name}`);
    (await axe(p)).forEach((x) => ctx.bad(`${id}: ${name}: ${x}`));
  };
  const inLog = pattern(t("proof:inLog", { n: "{n}", all: "{all}" }));
  const receipt = pattern(t("proof:receiptOf", { region: "{region}" }));
  const record = ctx.url + "/console/events?name=Converse";
  const choose = () => p.locator("tbody tr", { hasText: "ap-northeast" }).last().click();
  let what = "";
  const unsure = async () => {
    what = "what is not signed yet, a log that is being read, and one that is damaged, are said";
    let state = { Status: "PENDING_CHECKPOINT" };
    await through(p, isProof, (a) => {
      const { Proof: _, ...e } = a.EventProof;
      a.EventProof = { ...e, ...state };
      return a;
    });
    await p.goto(record);
    await choose();
    await sees(pattern(t("proof:pending", { s: "{s}" })));
    state = { Status: "IN_PROGRESS", RecordsRead: 4096, RecordsToRead: 10_000_000 };
    await sees(pattern(t("proof:reading", { n: "{n}", all: "{all}" })));
    state = { Status: "IMPOSSIBLE", Reason: "00000000000000000001.trail is damaged at offset 4711" };
    await sees(/damaged at offset 4711/);
    await never(inLog);
    await checked("6-damaged");

    what = "a browser that cannot check says so";
    await p.unrouteAll({ behavior: "wait" });
    await p.addInitScript(() => {
      const had = crypto.subtle.importKey;
      crypto.subtle.importKey = (...a) => (a[2]?.name === "Ed25519" ? Promise.reject(new DOMException("no", "NotSupportedError")) : had.apply(crypto.subtle, a));
    });
    await p.goto(record);
    await choose();
    await sees(t("proof:cannot"));
    await never(inLog);
    await checked("7-cannot");
  };
  try {
    what = "a record is in the signed log, and its Region signed for it";
    await p.goto(record);
    await choose();
    await sees(inLog);
    await sees(receipt);
    await p.locator(".proof").scrollIntoViewIfNeeded();
    await checked("1-record");

    what = "the file convinces tokaido";
    const coming = p.waitForEvent("download");
    await p.getByRole("button", { name: t("proof:download") }).click();
    const file = join(ctx.data, "..", id + ".txt");
    await (await coming).saveAs(file);
    // as the page says: with the key alone
    const [, key] = /^tokaido trail verify --proof proof-\S+\.txt --key (\S+)$/.exec(await p.getByText(/^tokaido trail verify --proof/).innerText());
    const said = execFileSync(binary, ["trail", "verify", "--proof", file, "--key", key, "--data-dir", join(ctx.data, "..", "elsewhere")], { encoding: "utf8" });
    if (!/^Proven: this is record \d+ of the log/.test(said)) throw new Error(said);

    what = "a byte of it that was changed is noticed";
    await through(p, isProof, (a) => {
      a.EventProof.Proof = inside(a.EventProof.Proof, (s) => s.replace(/"inputTokens":\d/, '"inputTokens":0'));
      return a;
    });
    await p.goto(record);
    await choose();
    await sees(pattern(t("proof:otherRecord", { what: "{what}" })));
    await never(inLog);
    await checked("2-tampered");

    if (locale === "en") {
      what = "so it is where the record that is shown was changed with it";
      await through(p, isLookup, (a) => {
        for (const e of a.Events ?? []) e.CloudTrailEvent = e.CloudTrailEvent.replace(/"inputTokens":\d/, '"inputTokens":0');
        return a;
      });
      await p.goto(record);
      await choose();
      await sees(t("proof:notInTree"));
      await never(inLog);
    }

    what = "a changed receipt is noticed, and listed";
    await p.unrouteAll({ behavior: "wait" });
    let changed;
    await through(p, isLookup, (a) => {
      const e = a.Events?.find((x) => x.CloudTrailEvent.includes('"receipt":{') && (changed ?? x.EventId) === x.EventId);
      if (e) {
        changed = e.EventId;
        e.CloudTrailEvent = e.CloudTrailEvent.replace(/"region":"ap-northeast-\d"(?=,"model")/, '"region":"ap-northeast-2"');
      }
      return a;
    });
    await p.goto(ctx.url + "/console/residency");
    await sees(pattern(t("proof:someBad", { bad: "1", n: "{n}", all: "{all}", none: "{none}" })));
    await sees(pattern(t("proof:receiptRegion", { what: "ap-northeast-2" })));
    await p.getByText(t("proof:badReceipts"), { exact: true }).scrollIntoViewIfNeeded();
    await checked("3-receipts");

    what = "all receipts of a report hold, and its checkpoint";
    await p.unrouteAll({ behavior: "wait" });
    const first = p.waitForResponse((r) => isProof(r.request()));
    await p.goto(ctx.url + "/console/residency");
    await sees(pattern(t("proof:allGood", { n: "{n}" })));
    await sees(pattern(t("proof:checkpointIn", { n: "{n}", time: "{time}" })));
    const kept = (await (await first).json()).Checkpoint;

    what = "the log still has what a kept checkpoint signs";
    await p.getByRole("button", { name: t("proof:compareTitle") }).click();
    const area = p.locator("textarea").last();
    await area.fill(kept);
    await p.getByRole("button", { name: t("proof:compare"), exact: true }).click();
    await sees(pattern(t("proof:stillHas", { n: "{n}", time: "{time}" })));
    await checked("4-report");
    await area.fill(kept.replace(/\n\d+\n/, "\n999999\n"));
    await p.getByRole("button", { name: t("proof:compare"), exact: true }).click();
    await sees(pattern(t("proof:notOurs", { why: t("proof:noteSignature") })));
    await p.emulateMedia({ media: "print" });
    await o.shoot(`${id}-5-print`);
    await p.emulateMedia({ media: null });

    if (locale === "ja") await unsure();
  } catch (x) {
    await o.shoot(id + "-broken");
    ctx.bad(`${id}: ${what}: ${String(x.message ?? x).replace(/\u001b\[\d+m/g, "").slice(0, 600)}`);
  }
  await p.unrouteAll({ behavior: "ignoreErrors" });
  await o.close();
}
