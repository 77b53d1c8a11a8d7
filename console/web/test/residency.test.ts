import { expect, it } from "vitest";
import { boundary, call, csv, machineOf, report } from "../src/model/residency";
import type { Record_ } from "../src/model/inference";

const made = (at: number, more: Partial<Record_>, additional: unknown = {}, who: unknown = { arn: "arn:aws:iam::111122223333:user/mika" }) =>
  call({
    id: "e" + at, name: "Converse", source: "bedrock.amazonaws.com", time: new Date(at), user: "mika", region: "ap-northeast-1", model: "jp.anthropic.x", attempts: [], resources: [], readOnly: true, inputTokens: 2, outputTokens: 3,
    ...more,
    json: JSON.stringify({ additionalEventData: additional, userIdentity: who }),
  });

it("boundaries are countries, Regions, or both", () => {
  expect(boundary("jp")).toEqual(["ap-northeast-1", "ap-northeast-3"]);
  expect(boundary("eu-west-2, JP")).toEqual(["ap-northeast-1", "ap-northeast-3", "eu-west-2"]);
  expect(boundary("")).toEqual([]);
  expect(boundary("atlantis")).toBeUndefined();
});

it("calls are counted where they were answered, and the first that left is named", () => {
  const osaka = made(2, { served: "ap-northeast-3" }, { receipt: { model: "anthropic.x" }, attempts: [{ region: "ap-northeast-1", outcome: "full" }, { region: "ap-northeast-3", outcome: "served" }] });
  const sydney = made(3, { served: "ap-southeast-2", executionArn: "arn:aws:states:ap-northeast-1:111122223333:execution:claims:run" }, {}, { arn: "arn:aws:sts::1:assumed-role/R/s", sessionContext: { sessionIssuer: { arn: "arn:aws:iam::1:role/R" } } });
  const tokyo = made(1, {}); // not re-routed: AWS leaves the Region out
  const refused = made(4, { errorCode: "AccessDenied" });
  const lost = made(5, { errorCode: "OutcomeUnknown" }, { inferenceRegions: ["ap-northeast-1", "us-east-1"] });
  const r = report([sydney, osaka, tokyo, refused, lost], "principal", boundary("jp"));
  expect(r.total.shares).toEqual([
    { region: "ap-northeast-1", calls: 1, tokens: 5 },
    { region: "ap-northeast-3", calls: 1, tokens: 5 },
    { region: "ap-southeast-2", calls: 1, tokens: 5 },
  ]);
  expect(r.outside.map((c) => c.record.id)).toEqual(["e3", "e5"]);
  expect(r.total.first?.record.id).toBe("e3");
  expect([r.answered, r.receipts, r.unknown, r.total.failed]).toEqual([3, 1, 1, 2]);
  expect(osaka.reached).toEqual([]); // passed over: it got nothing
  expect(r.groups.map((g) => [g.key, g.calls, g.outside])).toEqual([["arn:aws:iam::111122223333:user/mika", 4, 1], ["arn:aws:iam::1:role/R", 1, 1]]);
  expect(sydney.workflow).toBe("arn:aws:states:ap-northeast-1:111122223333:stateMachine:claims");
  expect(report([sydney], "workflow", undefined).outside).toEqual([]);
});

it("what is no profile is none, and an operator's own is one", () => {
  expect(made(1, { model: "anthropic.x" }).profile).toBe("");
  expect(made(1, { model: "our-two-sites" }, { receipt: { model: "anthropic.x" } }).profile).toBe("our-two-sites");
  expect(made(1, { model: "arn:aws:bedrock:ap-northeast-1:1:inference-profile/jp.x" }).profile).toBe("jp.x");
  expect(machineOf("arn:aws:states:r:1:express:m:x:y")).toBe("arn:aws:states:r:1:stateMachine:m");
  expect(machineOf(undefined)).toBe("");
});

it("a spreadsheet gets no formulas", () => {
  const text = csv([made(1, { served: "ap-northeast-1", model: "=HYPERLINK(1)", errorCode: 'a"b' })], boundary("jp"));
  expect(text.split("\r\n")).toHaveLength(3);
  expect(text).toContain(`"'=HYPERLINK(1)"`);
  expect(text).toContain('"a""b"');
});
