// The two stories of the article, clicked through as somebody would, and signing in.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { GetSessionTokenCommand, STSClient } from "@aws-sdk/client-sts";
import { axe, command, launch, open, serve } from "./harness.mjs";
import { pattern, speaker } from "./texts.mjs";
import { profile, refusedDefinition } from "./seed.mjs";

const sees = (p, text) => p.getByText(text).first().waitFor();
// pick chooses from a Select, which is a button named by its label and its value.
async function pick(p, label, option) {
  await p.getByRole("button", { name: new RegExp("^" + label) }).first().click();
  await p.getByRole("option", { name: option }).first().click();
}

// steps runs a story; the first step that fails is what is wrong with it.
async function steps(browser, ctx, id, locale, list) {
  const o = await open(browser, { ...ctx, locale, mode: locale === "ja" ? "dark" : "light", id });
  let what = "";
  try {
    for (const [name, f] of list) {
      what = name;
      await f(o.page, o);
    }
  } catch (x) {
    await o.shoot(id + "-broken");
    ctx.bad(`${id}: ${what}: ${String(x.message ?? x).replace(/\u001b\[\d+m/g, "").slice(0, 600)}`);
  }
  await o.close();
}

// refused: a definition is pasted, its role names an ARN that cannot exist, the run is refused, the
// refusal explained, its fix applied, the run goes on and is answered, and the Region is shown.
export async function refused(browser, ctx, locale) {
  const t = await speaker(locale, "why");
  const name = "pasted-" + locale;
  const checked = async (p, where) => (await axe(p)).forEach((x) => ctx.bad(`refused-${locale}: ${where}: ${x}`));
  await steps(browser, ctx, "refused-" + locale, locale, [
    ["what is wrong in a definition is underlined, in the server's words", async (p) => {
      await p.goto(ctx.url + "/console/state-machines/create");
      await p.locator(".cm-content").click();
      await p.keyboard.press("Control+a");
      await p.keyboard.insertText('{"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}}}');
      await p.locator(".cm-lintRange-error").first().waitFor();
    }],
    ["the definition is pasted, and the machine created with the role that was made for it", async (p) => {
      await p.locator(".cm-content").click();
      await p.keyboard.press("Control+a");
      await p.keyboard.insertText(refusedDefinition);
      await p.getByLabel(t("name"), { exact: true }).first().fill(name);
      await pick(p, t("role"), new RegExp("PastedRole-" + locale));
      await p.getByRole("button", { name: t("create") }).last().click();
      await p.getByRole("heading", { name, exact: true }).waitFor();
    }],
    ["it runs and is refused", async (p, o) => {
      await p.getByRole("button", { name: t("startExecution") }).first().click();
      const dialog = p.getByRole("dialog");
      await dialog.getByRole("textbox").last().fill('{"prompt": "こんにちは"}');
      await dialog.getByRole("button", { name: t("startExecution") }).click();
      await sees(p, t("executionFailed", { state: "Ask Claude" }));
      await sees(p, t("deniedN", { n: 1 }));
      await o.shoot(`refused-${locale}-1-denied`);
    }],
    ["why: every part, the rule, and the diff", async (p, o) => {
      await p.getByRole("button", { name: t("why") }).first().click();
      await sees(p, t("why:parts"));
      const diff = p.getByRole("dialog").locator(".diff");
      await diff.locator(".d-add", { hasText: "inference-profile/jp.anthropic" }).first().waitFor();
      await diff.locator(".d-add", { hasText: "bedrock:ap-northeast-3::foundation-model" }).first().waitFor();
      await checked(p, "why");
      await o.shoot(`refused-${locale}-2-why`);
    }],
    ["the fix is simulated and applied", async (p, o) => {
      const dialog = p.getByRole("dialog");
      await dialog.getByRole("button", { name: t("why:simulate"), exact: true }).click();
      await sees(p, pattern(t("why:simulated", { n: "{n}", all: "{all}" })));
      await dialog.getByRole("button", { name: t("why:apply"), exact: true }).click();
      await sees(p, t("why:appliedHint"));
      await sees(p, pattern(t("why:live", { n: "{n}", all: "{all}" })));
      await o.shoot(`refused-${locale}-3-applied`);
    }],
    ["the run goes on from where it failed, and is answered", async (p, o) => {
      const dialog = p.getByRole("dialog");
      await dialog.getByRole("button", { name: t("why:redrive"), exact: true }).click();
      // in the graph's node, the strip and the list of model calls: the Region that answered
      await p.locator(".rcell.ok", { hasText: /ap-northeast-[13]/ }).first().waitFor();
      await p.getByText(t("stSucceeded"), { exact: true }).first().waitFor();
      await p.getByRole("button", { name: `${t("input")} · ${t("output")}` }).first().click();
      await p.locator("pre:visible", { hasText: /\[simulated/i }).first().waitFor();
      await checked(p, "answered");
      await o.shoot(`refused-${locale}-4-answered`);
    }],
  ]);
}

// abroad: the playground asks through the jp. profile, and CloudTrail tells which Region answered.
export async function abroad(browser, ctx, locale) {
  const t = await speaker(locale, "playground", "proof");
  let served;
  await steps(browser, ctx, "abroad-" + locale, locale, [
    ["a model is asked through the profile", async (p, o) => {
      await p.goto(ctx.url + "/console/playground?model=" + encodeURIComponent(profile));
      const box = p.getByRole("textbox", { name: t("prompt"), exact: true });
      await box.fill("こんにちは。Where are you?");
      await box.press("Enter");
      const badge = p.getByText(pattern(t("answeredIn", { region: "{region}" }))).first();
      await badge.waitFor();
      served = /ap-northeast-\d/.exec(await badge.innerText())?.[0];
      if (!served) throw new Error("the answer does not say its Region");
      await o.shoot(`abroad-${locale}-1-answer`);
    }],
    ["its record says ConverseStream and the Region, is in the signed log, and the Region signed for it", async (p, o) => {
      await p.getByRole("link", { name: t("openRecord") }).first().click();
      await p.getByRole("heading", { name: t("eventHistory") }).waitFor();
      await sees(p, '"eventName": "ConverseStream"');
      await sees(p, `"inferenceRegion": "${served}"`);
      await p.getByRole("row", { name: /ConverseStream/ }).getByText(served).first().waitFor();
      await sees(p, pattern(t("proof:inLog", { n: "{n}", all: "{all}" })));
      await sees(p, t("proof:receiptOf", { region: served }));
      await o.shoot(`abroad-${locale}-2-record`);
    }],
    ["the same model is asked through its other profiles, side by side; what goes takes its answers along", async (p) => {
      if (locale !== "en") return;
      await p.goto(ctx.url + "/console/playground?model=" + encodeURIComponent(profile));
      await p.getByRole("button", { name: t("playground:compareProfiles") }).click();
      await p.getByRole("heading", { name: "Claude Sonnet 4.5" }).nth(1).waitFor();
      const box = p.getByRole("textbox", { name: t("prompt"), exact: true });
      await box.fill("And now?");
      await box.press("Enter");
      await p.waitForFunction(() => document.querySelectorAll(".play [role=log]").length > 1 && [...document.querySelectorAll(".play [role=log]")].every((l) => /And now[^]*Answered in/.test(l.innerText)));
      // The first is closed: the answers of the next stay the next's.
      const second = await p.locator(".play [role=log]").nth(1).innerText();
      await p.getByRole("button", { name: t("playground:remove", { name: "JP Anthropic Claude Sonnet 4.5" }) }).click();
      await p.getByRole("button", { name: t("playground:remove", { name: "JP Anthropic Claude Sonnet 4.5" }) }).waitFor({ state: "detached" });
      if ((await p.locator(".play [role=log]").first().innerText()) !== second) throw new Error("a conversation changed its model");
      await p.getByRole("button", { name: t("viewRequest") }).click();
      await p.getByRole("dialog").locator("pre:visible", { hasText: "--model-id global.anthropic" }).waitFor();
      await p.getByRole("dialog").getByRole("button", { name: t("close"), exact: true }).first().click();
    }],
  ]);
}

// tools: a file is attached, the model asks for a tool, gets its result, and the call becomes a state.
export async function tools(browser, ctx, locale) {
  const t = await speaker(locale, "playground");
  const config = { tools: [{ toolSpec: { name: "weather", description: "of a city", inputSchema: { json: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } } } }], toolChoice: { any: {} } };
  await steps(browser, ctx, "tools-" + locale, locale, [
    ["what is no tool is refused", async (p) => {
      await p.goto(ctx.url + "/console/playground?model=" + encodeURIComponent(profile));
      await p.getByLabel(t("playground:tools"), { exact: true }).fill('{"name": "weather"}');
      await sees(p, pattern(t("playground:badTools", { why: "{why}" })));
      await p.getByLabel(t("playground:tools"), { exact: true }).fill(JSON.stringify(config));
    }],
    ["files that the API does not take are refused, the others attached", async (p) => {
      const input = p.locator("input[type=file]");
      await input.setInputFiles({ name: "film.mp4", mimeType: "video/mp4", buffer: Buffer.from("x") });
      await sees(p, t("playground:kind", { name: "film.mp4" }));
      const png = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64");
      await input.setInputFiles({ name: "dot.png", mimeType: "image/png", buffer: png });
      await p.getByText("dot.png").first().waitFor();
    }],
    ["the model asks for the tool, and its result is sent back", async (p, o) => {
      const box = p.getByRole("textbox", { name: t("prompt"), exact: true });
      await box.fill("How is the weather in Osaka?");
      await box.press("Enter");
      await sees(p, t("playground:call", { name: "weather" }));
      await p.getByLabel(t("playground:result", { name: "weather" })).fill("rain");
      await o.shoot(`tools-${locale}-1-call`);
      // what was asked before must not be asked again
      await p.getByLabel(t("playground:tools"), { exact: true }).fill(JSON.stringify({ tools: config.tools }));
      await p.getByRole("button", { name: t("playground:sendResults") }).click();
      await p.getByText(pattern(t("answeredIn", { region: "{region}" }))).nth(1).waitFor();
      await o.shoot(`tools-${locale}-2-answer`);
    }],
    ["the call becomes a state of a new machine", async (p) => {
      await p.getByRole("button", { name: t("playground:saveTask") }).click();
      await p.getByRole("dialog").getByRole("button", { name: t("playground:createMachine") }).click();
      await p.locator(".cm-content", { hasText: "aws-sdk:bedrockruntime:converse" }).waitFor();
    }],
  ]);
}

// own: an application profile is made of the system's, asked, and deleted.
export async function own(browser, ctx, locale) {
  const t = await speaker(locale, "bedrock");
  await steps(browser, ctx, "own-" + locale, locale, [
    ["a profile of one's own is made", async (p, o) => {
      await p.goto(ctx.url + "/console/profiles/" + encodeURIComponent(profile));
      await p.getByRole("button", { name: t("bedrock:copyProfile") }).first().click();
      const dialog = p.getByRole("dialog");
      await dialog.getByLabel(t("name"), { exact: true }).fill("claims-" + locale);
      await dialog.getByRole("button", { name: t("bedrock:copyProfile") }).click();
      await p.getByRole("heading", { name: "claims-" + locale, exact: true }).waitFor();
      await o.shoot(`own-${locale}-1-made`);
    }],
    ["it is asked", async (p) => {
      await p.getByRole("button", { name: t("openPlayground") }).click();
      const box = p.getByRole("textbox", { name: t("prompt"), exact: true });
      await box.fill("Hello");
      await box.press("Enter");
      await p.getByText(pattern(t("answeredIn", { region: "{region}" }))).first().waitFor();
      await p.goBack();
    }],
    ["and deleted", async (p) => {
      await p.getByRole("button", { name: t("bedrock:deleteProfile"), exact: true }).first().click();
      await p.getByRole("dialog").getByRole("button", { name: t("bedrock:deleteProfile"), exact: true }).click();
      await p.getByRole("heading", { name: t("profiles") }).first().waitFor();
    }],
  ]);
}

// kept: what was chosen survives a reload, and a link shows somebody else the same.
export async function kept(browser, ctx, made) {
  const t = await speaker("en", "run");
  const column = (p, name) => p.getByRole("columnheader", { name });
  await steps(browser, ctx, "kept", "en", [
    ["times are in UTC where one likes that", async (p) => {
      await p.goto(ctx.url + "/console/state-machines");
      await p.getByRole("link", { name: "claims-triage" }).waitFor();
      await p.getByRole("button", { name: new RegExp("^" + t("timeZone")) }).click();
      await p.getByRole("menuitem", { name: "UTC", exact: true }).click();
      await p.getByRole("row", { name: /claims-triage.* UTC/ }).waitFor();
    }],
    ["columns are chosen, and what is looked for is in the address", async (p) => {
      await p.getByRole("button", { name: t("view"), exact: true }).click();
      await p.getByRole("menuitemcheckbox", { name: t("type"), exact: true }).click();
      await column(p, t("type")).waitFor({ state: "detached" });
      await p.getByRole("searchbox", { name: t("findMachines") }).fill("nap");
      await p.waitForURL(/[?]q=nap/);
      await p.reload();
      await p.getByRole("row", { name: /long-nap.* UTC/ }).waitFor();
      if (await p.getByRole("link", { name: "claims-triage" }).count()) throw new Error("the filter is gone");
      if (await column(p, t("type")).count()) throw new Error("the column is back");
    }],
    ["a failed execution shows what failed; its iteration, state and tab stay", async (p) => {
      await p.goto(ctx.url + "/console/executions/" + encodeURIComponent(made.failed));
      await p.getByRole("heading", { name: "Ask", exact: true }).waitFor();
      await p.goto(ctx.url + "/console/executions/" + encodeURIComponent(made.succeeded) + "?tab=events");
      await p.getByRole("heading", { name: new RegExp("^" + t("run:loadedEvents")) }).waitFor();
      await p.getByRole("button", { name: new RegExp(t("run:wholeRun")) }).first().click();
      await p.getByRole("option", { name: /#1/ }).click();
      await p.locator(".asl-state", { hasText: "Summarize" }).click();
      await p.waitForURL(/it=1%3AEach(%20|[+])claim/);
      await p.reload();
      await p.getByRole("heading", { name: "Summarize", exact: true }).waitFor();
      await p.getByRole("button", { name: /#1/ }).first().waitFor();
      await p.getByRole("heading", { name: new RegExp("^" + t("run:loadedEvents")) }).waitFor();
    }],
    ["events of another Region, filtered, and open", async (p, o) => {
      await p.goto(ctx.url + "/console/events?in=all&f=name=CreateRole");
      await p.getByRole("row", { name: /CreateRole/ }).getByText("us-east-1").first().waitFor();
      await p.getByRole("row", { name: /CreateRole/ }).first().click();
      await p.waitForURL(/record=/);
      await p.reload();
      await sees(p, '"eventName": "CreateRole"');
      await o.shoot("kept-1-events");
      for (const x of await axe(p)) ctx.bad("kept: events: " + x);
    }],
    ["a link to another Region's thing leads there", async (p) => {
      await p.goto(ctx.url + "/console/executions/" + encodeURIComponent(made.running.replace(":ap-northeast-1:", ":ap-northeast-3:")));
      await p.getByRole("button", { name: `${t("region")}: ap-northeast-3` }).waitFor();
    }],
  ]);
}

// keyed: a machine is designed, and a refusal looked into, without a mouse.
export async function keyed(browser, ctx, made) {
  const t = await speaker("en", "design", "run");
  const said = (p) => p.evaluate(() => { const e = document.activeElement; return `${e?.getAttribute("aria-label") ?? ""} ${e?.closest("label, [class*=form-field]")?.textContent ?? ""} ${e?.textContent ?? ""}`; });
  const tabTo = async (p, what, key = "Tab") => {
    for (let i = 0; i < 80; i++) {
      await p.keyboard.press(key);
      if (what.test(await said(p))) return;
    }
    throw new Error(`${key} does not lead to ${what}`);
  };
  const focused = (p, what) => p.waitForFunction((w) => new RegExp(w).test(document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent ?? ""), what.source);
  const state = (p, name) => p.locator(".asl-state", { hasText: name });
  await steps(browser, ctx, "keyed", "en", [
    ["Design is reached and keeps the focus", async (p) => {
      await p.goto(ctx.url + "/console/state-machines/create");
      await p.locator(".cm-content").waitFor();
      await p.getByRole("heading", { name: t("create"), exact: true }).waitFor();
      await tabTo(p, new RegExp(`^ *${t("design:code")}$`));
      await p.keyboard.press("ArrowRight");
      await p.keyboard.press("Enter");
      await p.locator(".design-block").first().waitFor();
      await focused(p, new RegExp(t("design:design")));
    }],
    ["a state is added from the palette", async (p) => {
      await tabTo(p, new RegExp(t("design:block_Wait") + "$"));
      await p.keyboard.press("Enter");
      await state(p, "Wait").waitFor();
    }],
    ["one stop leads into the graph, and arrows through it", async (p) => {
      await tabTo(p, /^Wait, Wait/);
      await p.keyboard.press("ArrowUp");
      await focused(p, /^Ask Claude, Task/);
      await p.keyboard.press("Enter");
      await p.getByRole("group", { name: t("design:inspector"), exact: true }).getByRole("textbox", { name: t("design:name"), exact: true }).waitFor();
      await tabTo(p, new RegExp("^" + t("zoomIn")));
    }],
    ["it is undone", async (p) => {
      await tabTo(p, /^Ask Claude, Task/, "Shift+Tab");
      await p.keyboard.press("Control+z");
      await state(p, "Wait").waitFor({ state: "detached" });
    }],
    ["the step that failed gets the focus, and a dialog gives it back", async (p) => {
      await p.goto(ctx.url + "/console/executions/" + encodeURIComponent(made.failed));
      await p.getByRole("button", { name: t("showStep") }).waitFor();
      await tabTo(p, new RegExp("^ *" + t("showStep")));
      await p.keyboard.press("Enter");
      await focused(p, new RegExp(t("stateDetail")));
      await tabTo(p, new RegExp("^ *" + t("run:testHere")));
      await p.keyboard.press("Enter");
      await p.getByRole("dialog").waitFor();
      await p.keyboard.press("Escape");
      await p.getByRole("dialog").waitFor({ state: "detached" });
      await focused(p, new RegExp(t("run:testHere")));
    }],
  ]);
}

// people: a role is made, given a policy that the rules find fault with, then another, and asked about.
export async function people(browser, ctx, locale) {
  const t = await speaker(locale, "iam");
  const type = async (p, text) => {
    await p.getByRole("dialog").locator(".cm-content").click();
    await p.keyboard.press("Control+a");
    await p.keyboard.insertText(text);
  };
  const dialog = (p) => p.getByRole("dialog");
  await steps(browser, ctx, "people-" + locale, locale, [
    ["a role is made", async (p) => {
      await p.goto(ctx.url + "/console/iam/roles");
      await p.getByRole("button", { name: t("iam:createRole") }).first().click();
      await dialog(p).getByLabel(t("name"), { exact: true }).fill("made-" + locale);
      await dialog(p).getByRole("button", { name: t("iam:create"), exact: true }).click();
      await p.getByRole("heading", { name: "made-" + locale, exact: true }).waitFor();
    }],
    ["a policy is written, linted by rule, and saved", async (p) => {
      await p.getByRole("button", { name: t("iam:addInline") }).click();
      await dialog(p).getByLabel(t("iam:policyName")).fill("starts");
      await type(p, '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}]}');
      await dialog(p).locator(".findings code", { hasText: "GN06" }).waitFor();
      await type(p, '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "states:StartExecution", "Resource": "*"}]}');
      await dialog(p).getByText(t("iam:noFindings")).waitFor();
      await dialog(p).getByRole("button", { name: t("iam:save"), exact: true }).click();
      await p.getByRole("button", { name: "starts", exact: true }).waitFor();
    }],
    ["a managed policy is attached and detached", async (p) => {
      await p.getByRole("button", { name: t("iam:attach") }).click();
      await dialog(p).getByRole("button", { name: t("iam:policy"), exact: true }).click();
      await p.getByRole("option", { name: /too-wide/ }).click();
      await dialog(p).getByRole("button", { name: t("iam:attach"), exact: true }).click();
      await p.getByRole("link", { name: "too-wide" }).waitFor();
      await p.getByRole("button", { name: `${t("iam:detach")}: too-wide` }).click();
      await p.getByRole("link", { name: "too-wide" }).waitFor({ state: "detached" });
    }],
    ["the simulator knows what it may do, and what not", async (p, o) => {
      await p.getByRole("tab", { name: t("iam:simulator") }).click();
      await p.getByLabel(t("iam:actions"), { exact: true }).fill("states:StartExecution\nstates:DeleteStateMachine");
      await p.getByRole("button", { name: t("iam:run"), exact: true }).click();
      await p.getByRole("row", { name: /StartExecution/ }).getByText(t("iam:allowed"), { exact: true }).waitFor();
      await p.getByRole("row", { name: /DeleteStateMachine/ }).getByText(t("iam:implicitDeny"), { exact: true }).waitFor();
      await o.shoot(`people-${locale}-1-simulated`);
    }],
    ["its policy is deleted", async (p) => {
      await p.getByRole("tab", { name: t("iam:permissions") }).click();
      await p.getByRole("button", { name: `${t("iam:remove")}: starts` }).click();
      await dialog(p).getByRole("button", { name: t("iam:remove"), exact: true }).click();
      await sees(p, t("iam:noPermissions"));
    }],
  ]);
}

// designed: a machine is put together in the Design editor, its least role is seen and made, it runs
// with no more than that, and its run is looked into: expressions, a test of one state, an export.
export async function designed(browser, ctx, locale) {
  const t = await speaker(locale, "machine", "design", "run", "test");
  const name = "designed-" + locale;
  const node = (p, text) => p.locator(".asl-state", { hasText: text });
  await steps(browser, ctx, "designed-" + locale, locale, [
    ["a state is added after another, undone and redone, and changed in its form", async (p) => {
      await p.goto(ctx.url + "/console/state-machines/create");
      await p.getByLabel(t("name"), { exact: true }).first().fill(name);
      await p.getByRole("button", { name: t("design:design"), exact: true }).click();
      await node(p, "Ask Claude").click();
      await p.locator(".design-block", { hasText: t("design:block_Wait") }).click();
      await node(p, "Wait").waitFor();
      await p.getByRole("button", { name: t("design:undo") }).click();
      await node(p, "Wait").waitFor({ state: "detached" });
      await p.getByRole("button", { name: t("design:redo") }).click();
      await node(p, "Wait").click();
      await p.getByRole("textbox", { name: "Seconds", exact: true }).fill("1");
      await p.getByRole("group", { name: t("design:inspector"), exact: true }).getByRole("textbox", { name: t("design:name"), exact: true }).fill("Breathe");
      await p.keyboard.press("Tab");
      await node(p, "Breathe").waitFor();
    }],
    ["the least role is seen before it is made", async (p, o) => {
      await p.getByRole("button", { name: t("machine:roleGenerate") }).click();
      await p.getByRole("button", { name: t("machine:roleShow") }).click();
      await p.locator("pre", { hasText: "inference-profile/jp.anthropic" }).first().waitFor();
      for (const x of await axe(p)) ctx.bad(`designed-${locale}: role: ${x}`);
      await o.shoot(`designed-${locale}-1-role`);
    }],
    ["the machine is made with it", async (p) => {
      await p.getByRole("button", { name: t("create") }).last().click();
      await p.getByRole("heading", { name, exact: true }).waitFor();
    }],
    ["it runs with no more than that, and its Region is shown", async (p) => {
      await p.getByRole("button", { name: t("startExecution") }).first().click();
      const dialog = p.getByRole("dialog");
      await dialog.getByRole("textbox").last().fill('{"prompt": "こんにちは"}');
      await dialog.getByRole("button", { name: t("startExecution") }).click();
      await node(p, "Breathe").locator(".st-succeeded").waitFor();
      await p.locator(".asl-badge", { hasText: "ap-northeast-" }).first().waitFor();
    }],
    ["an expression has its value", async (p) => {
      await node(p, "Ask Claude").click();
      await p.getByRole("tab", { name: new RegExp("^" + t("run:expressions")) }).click();
      await p.locator(".expr-value pre", { hasText: "こんにちは" }).first().waitFor();
    }],
    ["the state is tested with what the run got", async (p, o) => {
      await p.getByRole("button", { name: t("run:testHere") }).click();
      await p.getByRole("button", { name: t("test:run") }).click();
      await p.getByRole("dialog").getByText("Breathe", { exact: true }).waitFor(); // the next state
      await o.shoot(`designed-${locale}-2-tested`);
      await p.getByRole("dialog").getByRole("button", { name: t("close"), exact: true }).last().click();
    }],
    ["the graph and the run are exported", async (p) => {
      for (const [k, ends] of [["exportSvg", ".svg"], ["exportPng", ".png"], ["exportJson", ".json"]]) {
        await p.getByRole("button", { name: t("run:actions"), exact: true }).click();
        const [file] = await Promise.all([p.waitForEvent("download"), p.getByRole("menuitem", { name: t("run:" + k) }).click()]);
        if (!file.suggestedFilename().endsWith(ends)) ctx.bad(`designed-${locale}: ${k} gives ${file.suggestedFilename()}`);
        if (ends === ".svg" && !readFileSync(await file.path(), "utf8").includes("Breathe")) ctx.bad(`designed-${locale}: the graph lacks a state`);
      }
    }],
  ]);
}

// signIn holds the one-time link of an ordinary server, and its key form, to what they promise.
export async function signIn(ctx) {
  const plain = await serve({ dev: false });
  const browser = await launch();
  const bad = (what) => ctx.bad("sign-in: " + what);
  try {
    const link = /Console .*?(http\S+#signin=\S+)/.exec(plain.log())?.[1];
    if (!link) return bad("serve printed no link:\n" + plain.log());
    const o = await open(browser, { url: plain.url, id: "sign-in", bad: ctx.bad });
    const p = o.page;
    const expect = async (what, locator) => locator.first().waitFor().catch(() => bad(what));
    const heading = (name) => p.getByRole("heading", { name, exact: true });
    await p.goto(link);
    await expect("the link leads to the overview", heading("Overview"));
    if (p.url().includes("signin")) bad("the token stays in the address");
    await p.reload();
    await expect("nobody is signed in after a reload", heading("Sign in"));
    await p.goto("about:blank");
    await p.goto(link);
    await expect("a link works once", p.getByText("this sign-in link was used already"));
    const key = JSON.parse(readFileSync(join(plain.data, "root-key.json"), "utf8"));
    await p.getByLabel("Access key ID").fill(key.AccessKeyId);
    await p.getByLabel("Secret access key").fill(key.SecretAccessKey);
    await p.getByLabel("Stay signed in").check();
    await p.getByRole("button", { name: "Sign in" }).click();
    await expect("a key leads to the overview", heading("Overview"));
    if ((await p.evaluate(() => JSON.stringify([localStorage, sessionStorage]))).includes(key.SecretAccessKey)) bad("the key is kept");
    await p.reload();
    await expect("a tab that was told to stays signed in", heading("Overview"));
    await o.close();

    // As AWS's identity brokers do: temporary credentials for a token, and the token for a page.
    const at = { endpoint: plain.url, region: "us-east-1", credentials: { accessKeyId: key.AccessKeyId, secretAccessKey: key.SecretAccessKey } };
    const { Credentials: c } = await new STSClient(at).send(new GetSessionTokenCommand({}));
    const got = await fetch(plain.url + "/console/federation", {
      method: "POST",
      body: new URLSearchParams({ Action: "getSigninToken", Session: JSON.stringify({ sessionId: c.AccessKeyId, sessionKey: c.SecretAccessKey, sessionToken: c.SessionToken }) }),
    });
    const { SigninToken } = await got.json();
    const login = `${plain.url}/console/federation?${new URLSearchParams({ Action: "login", Issuer: "https://broker.example.com/", Destination: plain.url + "/console/models?input=IMAGE", SigninToken })}`;
    const f = await open(browser, { url: plain.url, id: "federation", bad: ctx.bad });
    await f.page.goto(login);
    await f.page.getByRole("heading", { name: /^Model catalog/ }).waitFor().catch(() => bad("a federated sign-in does not lead to its destination"));
    if (f.page.url() !== plain.url + "/console/models?input=IMAGE") bad("after a federated sign-in the address is " + f.page.url());
    await f.page.getByRole("button", { name: /root/ }).first().click();
    await f.page.getByRole("menuitem", { name: "Sign out" }).click();
    await f.page.getByRole("link", { name: /broker\.example\.com/ }).waitFor().catch(() => bad("who signs out is not shown the way back to who signed him in"));
    await f.page.goto("about:blank");
    await f.page.goto(login);
    await f.page.getByText("this sign-in link was used already").waitFor().catch(() => bad("a federated sign-in works twice"));
    await f.close();

    // Who comes late has a new link printed.
    const late = await open(browser, { url: plain.url, id: "late", bad: ctx.bad });
    await late.page.goto(command("console", "--endpoint", plain.url, "--data-dir", plain.data).trim());
    await late.page.getByRole("heading", { name: "Overview", exact: true }).waitFor().catch(() => bad("the link of `tokaido console` does not sign in"));
    await late.close();
  } finally {
    await browser.close();
    await plain.stop();
  }
}
