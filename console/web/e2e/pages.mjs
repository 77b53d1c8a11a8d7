// Every page, and what is done on it before it is looked at.
import { profile } from "./seed.mjs";

const e = encodeURIComponent;

export const list = (made) => [
  ["overview", "/", (p) => p.getByText(/^(Answers are simulated|応答はシミュレーションです)$/).first().waitFor()],
  ["machines", "/state-machines"],
  ["create", "/state-machines/create"],
  ["machine", "/state-machines/" + e(made.machine)],
  ["succeeded", "/executions/" + e(made.succeeded) + "?state=Summarize"],
  ["failed", "/executions/" + e(made.failed)],
  ["running", "/executions/" + e(made.running)],
  ["models", "/models"],
  ["profiles", "/profiles"],
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
  ["events-chain", "/events", async (p) => {
    await p.locator("tbody tr", { hasText: "InvokeModel" }).first().click();
    await p.locator(".chain ul li").first().waitFor();
  }],
  ["events-compare", "/events", async (p) => {
    for (const n of [0, 1, 2]) await p.locator("tbody input[type=checkbox]").nth(n).click({ force: true });
    await p.locator("button:not([disabled])", { hasText: /^(Compare|比較)$/ }).click();
    await p.locator(".side tbody tr").first().waitFor();
  }],
  ["residency", "/residency", (p) => p.locator(".shares tbody tr").first().waitFor()],
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
