import { describe, expect, it } from "vitest";
import { GetExecutionHistoryCommand, SFNClient } from "@aws-sdk/client-sfn";
import { history } from "../src/aws/events";
import { generate } from "../src/aws/generate";

// answered is a client that gets an answer for whatever it asks.
const answered = (answer: unknown, see: (r: any) => void, status = 200) =>
  new SFNClient({
    endpoint: "http://127.0.0.1:1",
    region: "eu-west-1",
    credentials: { accessKeyId: "a", secretAccessKey: "b" },
    requestHandler: {
      handle: async (r: any) => {
        see(r);
        return { response: { statusCode: status, headers: { "content-type": "application/x-amz-json-1.0" }, body: new TextEncoder().encode(JSON.stringify(answer)) } as any };
      },
    } as any,
    streamCollector: async (b: any) => b,
  } as any);

describe("an operation that the SDK does not know", () => {
  it("is asked for, and answered, in the SDK's way", async () => {
    let seen: any;
    const answer = { roleName: "StepFunctions-x", trustPolicy: "{}", policy: '{"a":1}', findings: [{ id: "PG05", severity: "warning", location: "Ask.ModelId", message: "m" }], targets: [{ roleArn: "r", policy: "{}" }], managedPolicies: ["p"] };
    const client = answered(answer, (r) => (seen = r));
    const got = await generate(client, { definition: "{}", name: "x", loggingConfiguration: { level: "ALL" }, tracingConfiguration: { enabled: true }, language: "ja" });
    expect(seen.headers["x-amz-target"]).toBe("AWSStepFunctions.GenerateStateMachineRolePolicy");
    expect(seen.headers.authorization).toContain("/eu-west-1/states/aws4_request");
    expect(JSON.parse(seen.body)).toEqual({ definition: "{}", name: "x", loggingConfiguration: { level: "ALL" }, tracingConfiguration: { enabled: true }, language: "ja" });
    const { $metadata: _, ...rest } = got as any;
    expect(rest).toEqual(answer);
  });
});

describe("a history", () => {
  const at = "2026-11-22T01:02:03.456Z";
  const events = [
    { id: 1, previousEventId: 0, type: "ExecutionStarted", timestamp: Date.parse(at) / 1000, executionStartedEventDetails: { input: '{"a":1}', inputDetails: { truncated: false }, roleArn: "r" } },
    { id: 2, previousEventId: 1, type: "MapStateStarted", timestamp: Date.parse(at) / 1000 + 1, mapStateStartedEventDetails: { length: 3 } },
  ];
  it("is what the SDK would make of it", async () => {
    let seen: any;
    const input = { executionArn: "x", maxResults: 1000, reverseOrder: true, includeExecutionData: true, nextToken: "t" };
    const got = await history(answered({ events, nextToken: "n" }, (r) => (seen = r)), input, new AbortController().signal);
    expect(seen.headers["x-amz-target"]).toBe("AWSStepFunctions.GetExecutionHistory");
    expect(JSON.parse(seen.body)).toEqual(input);
    const sdk = await answered({ events, nextToken: "n" }, () => {}).send(new GetExecutionHistoryCommand(input));
    expect({ events: got.events, nextToken: got.nextToken }).toEqual({ events: sdk.events, nextToken: sdk.nextToken });
    expect(got.events![0]!.timestamp!.toISOString()).toBe(at);
  });
  it("that is refused says so as the SDK does", async () => {
    const refusal = { __type: "com.amazonaws.sfn#ExecutionDoesNotExist", message: "Execution Does Not Exist: 'x'" };
    await expect(history(answered(refusal, () => {}, 400), { executionArn: "x" }, new AbortController().signal)).rejects.toMatchObject({ name: "ExecutionDoesNotExist", message: refusal.message });
  });
});
