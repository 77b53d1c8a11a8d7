import { describe, expect, it } from "vitest";
import { counts, read, statuses } from "../src/model/history";
import { byState, record, sessionName, shares, together } from "../src/model/inference";
import { denial, kind } from "../src/model/denial";
import { callParts, destinations, flows, grants, inRegion, kindOf, sources, traffic, underlying } from "../src/model/profile";
import { asCli, asJavaScript, asPython, quoted } from "../src/model/snippet";

let clock = 0;
const ev = (id: number, previousEventId: number, type: string, more: object = {}) => ({ id, previousEventId, type, timestamp: new Date(++clock * 1000), ...more }) as any;
const entered = (name: string) => ({ stateEnteredEventDetails: { name, input: "{}" } });
const exited = (name: string) => ({ stateExitedEventDetails: { name, output: "1" } });

describe("history", () => {
  it("tells retries from failures, and caught from failed", () => {
    const h = read([
      ev(1, 0, "ExecutionStarted", { executionStartedEventDetails: { input: "{}" } }),
      ev(2, 0, "TaskStateEntered", entered("Ask")),
      ev(3, 2, "TaskScheduled", { taskScheduledEventDetails: { resourceType: "bedrock", resource: "invokeModel" } }),
      ev(4, 3, "TaskFailed", { taskFailedEventDetails: { error: "Busy", cause: "x" } }),
      ev(5, 4, "TaskScheduled", { taskScheduledEventDetails: { resourceType: "bedrock", resource: "invokeModel" } }),
      ev(6, 5, "TaskSucceeded", { taskSucceededEventDetails: { output: "1" } }),
      ev(7, 6, "TaskStateExited", exited("Ask")),
      ev(8, 7, "TaskStateEntered", entered("Again")),
      ev(9, 8, "TaskScheduled", { taskScheduledEventDetails: { resource: "x" } }),
      ev(10, 9, "TaskTimedOut", {}),
      ev(11, 10, "TaskStateExited", exited("Again")),
      ev(12, 11, "FailStateEntered", entered("Stop")),
      ev(13, 12, "ExecutionFailed", { executionFailedEventDetails: { error: "E", cause: "C" } }),
    ]);
    expect(statuses(h.visits)).toEqual({ Ask: "succeeded", Again: "caught", Stop: "failed" });
    expect(h.visits[0]!.attempts.map((a) => a.error)).toEqual(["Busy", undefined]);
    expect(h.visits[0]!.resource).toBe("bedrock:invokeModel");
    expect([h.error, h.cause, h.visits[2]!.error]).toEqual(["E", "C", "E"]);
    expect(h.nameOf.get(4)).toBe("Ask");
  });
  it("keeps iterations and branches apart", () => {
    const h = read([
      ev(1, 0, "ExecutionStarted"),
      ev(2, 0, "MapStateEntered", entered("Each")),
      ev(3, 2, "MapStateStarted", { mapStateStartedEventDetails: { length: 2 } }),
      ev(4, 3, "MapIterationStarted", { mapIterationStartedEventDetails: { name: "Each", index: 0 } }),
      ev(5, 3, "MapIterationStarted", { mapIterationStartedEventDetails: { name: "Each", index: 1 } }),
      ev(6, 4, "PassStateEntered", entered("P")),
      ev(7, 5, "PassStateEntered", entered("P")),
      ev(8, 6, "PassStateExited", exited("P")),
      ev(9, 8, "MapIterationSucceeded", { mapIterationSucceededEventDetails: { name: "Each", index: 0 } }),
    ]);
    expect(statuses(h.visits)).toEqual({ Each: "running", P: "running" });
    expect(h.visits.map((v) => [v.name, v.where, v.status, v.depth])).toEqual([
      ["Each", "", "running", 0],
      ["P", "Each #0", "succeeded", 1],
      ["P", "Each #1", "running", 1],
    ]);
    expect(counts(h.visits)).toEqual({ Each: 1, P: 2 });
    const g = read([
      ev(1, 0, "ExecutionStarted"),
      ev(2, 0, "ParallelStateEntered", entered("Both")),
      ev(3, 2, "ParallelStateStarted"),
      ev(4, 3, "TaskStateEntered", entered("A")),
      ev(5, 3, "WaitStateEntered", entered("B")),
      ev(6, 4, "TaskFailed", { taskFailedEventDetails: { error: "X" } }),
      ev(7, 6, "ParallelStateFailed", { parallelStateFailedEventDetails: { error: "X" } }),
      ev(8, 7, "ParallelStateExited", exited("Both")),
      ev(9, 8, "PassStateEntered", entered("Then")),
    ]);
    expect(statuses(g.visits)).toEqual({ Both: "caught", A: "failed", B: "aborted", Then: "running" });
    expect(g.visits[3]!.depth).toBe(0);
  });
  it("survives what it does not know", () => {
    expect(read([ev(1, 0, "SomethingNew"), ev(7, 99, "TaskFailed"), ev(8, 3, "PassStateExited", exited("x"))]).visits).toEqual([]);
  });
});

describe("trail", () => {
  const rec = (more: object, error?: string) =>
    record({
      EventId: "1", EventName: "InvokeModel", EventSource: "bedrock.amazonaws.com", EventTime: new Date(0),
      CloudTrailEvent: JSON.stringify({ awsRegion: "ap-northeast-1", errorCode: error, additionalEventData: more, requestID: "r", requestParameters: { modelId: "jp.x" } }),
    });
  it("reads Regions and tokens", () => {
    const all = [
      rec({ inferenceRegion: "ap-northeast-3", inputTokens: 3, outputTokens: 10, state: "Ask", executionArn: "a" }),
      rec({ inferenceRegion: "ap-northeast-1", inputTokens: 1, outputTokens: 1, state: "Ask" }),
      rec({ inferenceRegion: "ap-northeast-3", state: "Ask" }),
      rec({ state: "Ask" }, "AccessDenied"),
      rec({ state: "Other" }, "ThrottlingException"),
    ];
    expect(shares(all)).toEqual([
      { region: "ap-northeast-3", calls: 2, tokens: 13 },
      { region: "ap-northeast-1", calls: 1, tokens: 2 },
    ]);
    const s = byState(all);
    expect(s.Ask).toMatchObject({ input: 4, output: 11, denied: 1, failed: 0 });
    expect(s.Other).toMatchObject({ denied: 0, failed: 1, shares: [] });
    expect(all[0]!.model).toBe("jp.x");
  });
  it("takes records that are no JSON", () => expect(record({ CloudTrailEvent: "{" }).json).toBe("{"));
  it("knows which names are sessions'", () => expect(["monday", "a", "名前", "x".repeat(65)].map(sessionName)).toEqual(["monday", undefined, undefined, undefined]));
});

describe("denial", () => {
  const who = "arn:aws:sts::111122223333:assumed-role/R/s";
  it("reads AWS's words", () => {
    expect(denial(`User: ${who} is not authorized to perform: bedrock:InvokeModel on resource: arn:aws:bedrock:ap-northeast-1:1:inference-profile/jp.x because no identity-based policy allows the bedrock:InvokeModel action`)).toEqual({
      who, action: "bedrock:InvokeModel", resource: "arn:aws:bedrock:ap-northeast-1:1:inference-profile/jp.x", layer: "identity-based policy", explicit: false, policyArn: undefined,
    });
    expect(denial(`User: ${who} is not authorized to perform: iam:ListRoles with an explicit deny in a service control policy: arn:aws:organizations::1:policy/p`)).toMatchObject({ explicit: true, layer: "service control policy", policyArn: "arn:aws:organizations::1:policy/p" });
    expect(denial("Roles may not be assumed by root accounts.")).toBeUndefined();
  });
  it("knows the parts of a cross-Region call", () => {
    expect(kind("arn:aws:bedrock:eu-west-1:1:application-inference-profile/x")).toBe("profile");
    expect(kind("arn:aws:bedrock:::foundation-model/x")).toBe("model");
    expect(kind(undefined)).toBe("other");
  });
});

describe("profile", () => {
  const p = { id: "global.m", arn: "arn:aws:bedrock:ap-northeast-1:1:inference-profile/global.m", models: ["arn:aws:bedrock:::foundation-model/m"] };
  it("grants the model in the source Region too", () => {
    expect(destinations(p)).toEqual([""]);
    expect(grants(p, "ap-northeast-1").Statement[1]!.Resource).toEqual(["arn:aws:bedrock:ap-northeast-1::foundation-model/m", "arn:aws:bedrock:::foundation-model/m"]);
  });
  it("names each model once", () => {
    const jp = { ...p, models: ["arn:aws:bedrock:ap-northeast-1::foundation-model/m", "arn:aws:bedrock:ap-northeast-3::foundation-model/m"] };
    expect(grants(jp, "ap-northeast-1").Statement[1]!.Resource).toEqual(jp.models);
    expect(destinations(jp)).toEqual(["ap-northeast-1", "ap-northeast-3"]);
  });
});

describe("traffic", () => {
  const r = (more: object) => ({ attempts: [], ...more }) as never;
  it("counts answers where they came from, and errors where they happened", () => {
    expect(
      traffic([
        r({ served: "tokyo", latency: 30, inputTokens: 1, outputTokens: 2 }),
        r({ served: "tokyo", latency: 10 }),
        r({ served: "tokyo", latency: 20 }),
        r({ served: "osaka", latency: 99, attempts: [{ region: "tokyo", outcome: "failed", error: "ThrottlingException" }, { region: "seoul", outcome: "full" }, { region: "osaka", outcome: "served", ms: 5 }] }),
        r({ errorCode: "AccessDenied" }),
      ]),
    ).toEqual([
      { region: "tokyo", calls: 3, errors: 1, passed: 0, tokens: 3, latency: 20 },
      { region: "osaka", calls: 1, errors: 0, passed: 0, tokens: 0, latency: 5 },
      { region: "seoul", calls: 0, errors: 0, passed: 1, tokens: 0, latency: undefined }, // it had no room, which is no error
    ]);
  });
  it("is told from where to where", () => {
    const got = flows([r({ region: "b", served: "osaka" }), r({ region: "a", served: "tokyo" }), r({ region: "a", served: "osaka", attempts: [{ region: "seoul", outcome: "lost" }, { region: "osaka", outcome: "served" }] })]);
    expect(got.map((f) => [f.source, f.region, f.calls, f.errors])).toEqual([
      ["a", "osaka", 1, 0],
      ["a", "tokyo", 1, 0],
      ["b", "osaka", 1, 0],
    ]);
  });
  it("of a profile begins in the Regions it leads to, and an application's in its own", () => {
    const p = { id: "jp.m", arn: "arn:aws:bedrock:ap-northeast-1:1:inference-profile/jp.m", models: ["arn:aws:bedrock:ap-northeast-3::foundation-model/m", "arn:aws:bedrock:::foundation-model/m"] };
    expect(sources(p, "ap-northeast-1", "SYSTEM_DEFINED")).toEqual(["ap-northeast-1", "ap-northeast-3"]);
    expect(sources({ ...p, arn: "arn:aws:bedrock:us-east-1:1:application-inference-profile/x" }, "ap-northeast-1", "APPLICATION")).toEqual(["us-east-1"]);
    expect(inRegion(p.arn, "ap-northeast-3")).toBe("arn:aws:bedrock:ap-northeast-3:1:inference-profile/jp.m");
  });
  it("asks for each part of a call", () => {
    const p = { id: "jp.m", arn: "arn:p", models: ["arn:aws:bedrock:ap-northeast-3::foundation-model/m", "arn:aws:bedrock:::foundation-model/m"] };
    expect(callParts(p, "ap-northeast-1")).toEqual([
      { resource: "arn:p", region: "ap-northeast-1" },
      { resource: "arn:aws:bedrock:ap-northeast-1::foundation-model/m", region: "ap-northeast-1", profile: "arn:p" },
      { resource: "arn:aws:bedrock:ap-northeast-3::foundation-model/m", region: "ap-northeast-3", profile: "arn:p" },
      { resource: "arn:aws:bedrock:::foundation-model/m", region: "unspecified", profile: "arn:p" },
    ]);
    expect(underlying("arn:aws:bedrock:r:1:inference-profile/jp.anthropic.c")).toBe("anthropic.c");
    expect(underlying("amazon.n")).toBe("amazon.n");
    expect(["jp.anthropic.c", "sites.anthropic.c"].map((id) => kindOf({ id, type: "SYSTEM_DEFINED" }))).toEqual(["systemDefined", "operatorDefined"]);
    expect(kindOf({ id: "abc", type: "APPLICATION" })).toBe("application");
  });
});

describe("snippet", () => {
  const s = { modelId: "jp.m", messages: [{ role: "user" as const, content: [{ text: "it's\n「はい」" }] }], inferenceConfig: { maxTokens: 1, temperature: 0.5 }, region: "ap-northeast-1", endpoint: "http://127.0.0.1:1" };
  it("quotes for a shell", () => {
    expect(quoted("a-b/c:1")).toBe("a-b/c:1");
    expect(quoted("it's $HOME")).toBe(`'it'\\''s $HOME'`);
    expect(asCli(s)).toContain(`"text":"it'\\''s\\n「はい」"`);
  });
  it("is the same call in every language", () => {
    expect(asPython(s)).toContain('"temperature": 0.5');
    expect(asJavaScript(s)).toContain('"modelId": "jp.m"');
    expect(asJavaScript(s)).not.toContain('"region"');
  });
});

describe("what several questions find", () => {
  const r = (id: string, s: number) => ({ id, time: new Date(s * 1000) }) as never;
  it("is put together, each record once", () => {
    const got = together([{ items: [r("c", 3), r("a", 1)], more: false }, { items: [r("c", 3), r("b", 2)], more: false }]);
    expect(got.items.map((x) => x.id)).toEqual(["c", "b", "a"]);
    expect(got.more).toBe(false);
  });
  it("ends where one of the answers does, lest a kind seem not to be there", () => {
    const got = together([{ items: [r("e", 5), r("d", 4)], more: true }, { items: [r("c", 4), r("a", 1)], more: false }], [r("x", 6), r("y", 2)]);
    expect(got.items.map((x) => x.id)).toEqual(["x", "e", "d", "c"]);
    expect(got.more).toBe(true);
  });
});
