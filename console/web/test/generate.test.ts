import { describe, expect, it } from "vitest";
import { SFNClient } from "@aws-sdk/client-sfn";
import { generate } from "../src/aws/generate";

describe("an operation that the SDK does not know", () => {
  it("is asked for, and answered, in the SDK's way", async () => {
    let seen: any;
    const answer = { roleName: "StepFunctions-x", trustPolicy: "{}", policy: '{"a":1}', findings: [{ id: "PG05", severity: "warning", location: "Ask.ModelId", message: "m" }], targets: [{ roleArn: "r", policy: "{}" }], managedPolicies: ["p"] };
    const client = new SFNClient({
      endpoint: "http://127.0.0.1:1",
      region: "eu-west-1",
      credentials: { accessKeyId: "a", secretAccessKey: "b" },
      requestHandler: {
        handle: async (r: any) => {
          seen = r;
          return { response: { statusCode: 200, headers: { "content-type": "application/x-amz-json-1.0" }, body: new TextEncoder().encode(JSON.stringify(answer)) } as any };
        },
      } as any,
      streamCollector: async (b: any) => b,
    } as any);
    const got = await generate(client, { definition: "{}", name: "x", loggingConfiguration: { level: "ALL" }, tracingConfiguration: { enabled: true }, language: "ja" });
    expect(seen.headers["x-amz-target"]).toBe("AWSStepFunctions.GenerateStateMachineRolePolicy");
    expect(seen.headers.authorization).toContain("/eu-west-1/states/aws4_request");
    expect(JSON.parse(seen.body)).toEqual({ definition: "{}", name: "x", loggingConfiguration: { level: "ALL" }, tracingConfiguration: { enabled: true }, language: "ja" });
    const { $metadata: _, ...rest } = got as any;
    expect(rest).toEqual(answer);
  });
});
