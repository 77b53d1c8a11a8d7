// Every page, and what is done on it before it is looked at.
import { profile } from "./seed.mjs";

const e = encodeURIComponent;

export const list = (made) => [
  ["overview", "/", (p) => p.getByText(/^(Answers are simulated|応答はシミュレーションです)$/).first().waitFor()],
  ["machines", "/state-machines"],
  ["create", "/state-machines/create"],
  ["machine", "/state-machines/" + e(made.machine)],
  ["machine-definition", "/state-machines/" + e(made.machine) + "?tab=definition", (p) => p.locator(".asl-state").first().waitFor()],
  ["machine-configuration", "/state-machines/" + e(made.machine) + "?tab=configuration", async (p) => {
    await p.getByRole("heading", { name: /^(Configuration|設定)$/ }).waitFor();
    await p.getByRole("button", { name: /^(Edit|編集)$/ }).last().click();
    await p.getByText(/^(Log level|ログレベル)$/).waitFor();
  }],
  ["machine-versions", "/state-machines/" + e(made.machine) + "?tab=versions"],
  ["machine-aliases", "/state-machines/" + e(made.machine) + "?tab=aliases"],
  ["machine-tags", "/state-machines/" + e(made.machine) + "?tab=tags"],
  ["design", "/state-machines/create", async (p) => {
    const narrow = (await p.evaluate(() => innerWidth)) < 700;
    if (narrow) await p.getByRole("button", { name: /^(Editor|エディター)/ }).click();
    await (narrow ? p.getByRole("option", { name: /^(Design|デザイン)$/ }) : p.getByRole("button", { name: /^(Design|デザイン)$/ })).click();
    await p.locator(".design-block").nth(8).click(); // a Map after what is there
    await p.locator(".asl-state", { hasText: "Each item" }).waitFor();
  }],
  ["compare", "/compare?a=" + e(made.succeeded) + "&b=" + e(made.failed), (p) => p.locator(".vrow.can").first().waitFor()],
  ["test-state", "/executions/" + e(made.succeeded) + "?state=Summarize", async (p) => {
    await p.getByRole("button", { name: /^(Test from here|ここからテスト)$/ }).click();
    await p.getByRole("button", { name: /^(Test the state|ステートをテスト)$/ }).click();
    await p.getByText(/^(Next state|次のステート)$/).waitFor();
  }],
  ["expressions", "/executions/" + e(made.succeeded) + "?state=Summarize", async (p) => {
    await p.getByRole("tab", { name: /^(Expressions|式)/ }).click();
    await p.locator(".expr-value pre").first().waitFor();
  }],
  ["succeeded", "/executions/" + e(made.succeeded) + "?state=Summarize"],
  ["failed", "/executions/" + e(made.failed)],
  ["running", "/executions/" + e(made.running)],
  ["models", "/models"],
  ["profiles", "/profiles"],
  ["profile-own", "/profiles/sites.anthropic.claude-sonnet-4-5-20250929-v1:0", (p) => p.getByText(/^(Operator-defined|運用者定義)$/).first().waitFor()],
  ["profile", "/profiles/" + e(profile)],
  ["profile-who", "/profiles/" + e(profile), async (p) => {
    await p.locator("button", { hasText: /^(Check|確認)$/ }).click();
    await p.locator("tbody tr", { hasText: "ClaimsRole" }).waitFor();
    await p.getByText(/of 5 checked|5 件中/).waitFor({ state: "detached" });
  }],
  ["playground", "/playground?model=" + e(profile)],
  ["playground-compare", "/playground?" + [profile, "apac.amazon.nova-lite-v1:0", "global.anthropic.claude-sonnet-4-5-20250929-v1:0"].map((m) => "model=" + e(m)).join("&"), async (p) => {
    const box = p.locator("textarea").last();
    await box.fill("Where are you?");
    await box.press("Enter");
    await p.waitForFunction(() => document.body.innerText.match(/Answered in|が応答|未記録|not recorded/g)?.length >= 3);
  }],
  ["playground-request", "/playground?model=" + e(profile), async (p) => {
    await p.locator("button:not([disabled])", { hasText: /^(View API request|API リクエストを表示)$/ }).click();
    await p.getByRole("tab", { name: "Go", exact: true }).click();
    await p.locator("pre:visible", { hasText: "package main" }).waitFor();
  }],
  ["events", "/events"],
  // The pages before have been read so often that the newest events are theirs.
  ["events-chain", "/events?name=InvokeModel", async (p) => {
    await p.locator("tbody tr", { hasText: "InvokeModel" }).first().click();
    await p.locator(".chain ul li").first().waitFor();
  }],
  ["events-compare", "/events?name=InvokeModel", async (p) => {
    for (const n of [0, 1, 2]) await p.locator("tbody input[type=checkbox]").nth(n).click({ force: true });
    await p.locator("button:not([disabled])", { hasText: /^(Compare|比較)$/ }).click();
    await p.locator(".side tbody tr").first().waitFor();
  }],
  ["residency", "/residency", (p) => p.locator(".shares tbody tr").first().waitFor()],
  ["residency-print", "/residency", async (p) => {
    await p.locator(".shares tbody tr").first().waitFor();
    await p.emulateMedia({ media: "print" });
  }],
  ["residency-left", "/residency?boundary=ap-northeast-1&by=principal", (p) => p.locator(".shares tbody tr").first().waitFor()],
  ["iam-roles", "/iam/roles"],
  ["iam-users", "/iam/users"],
  ["iam-policies", "/iam/policies"],
  ["iam-role", "/iam/roles/PastedRole"],
  ["iam-role-edit", "/iam/roles/PastedRole", async (p) => {
    await p.getByRole("button", { name: "models", exact: true }).click();
    await p.locator(".findings code", { hasText: "BR01" }).waitFor(); // linted by rule id
  }],
  ["iam-policy", "/iam/policies/" + e(made.policy), (p) => p.locator(".findings li").first().waitFor()],
  ["iam-simulator", "/iam/simulator?principal=" + e(made.role), async (p) => {
    const areas = p.locator("textarea");
    await areas.nth(0).fill("bedrock:InvokeModel");
    await areas.nth(1).fill("arn:aws:bedrock:ap-northeast-1::foundation-model/anthropic.claude-sonnet-4-5-20250929-v1:0\narn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0");
    await p.locator("main button[class*=primary], main button").filter({ hasText: /^(Simulate|シミュレート)$/ }).first().click();
    await p.locator("table tbody tr").first().waitFor();
  }],
  ["signin", "/"],
  ["lost", "/no-such-page"],
];
