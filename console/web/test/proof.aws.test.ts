import { describe, expect, it } from "vitest";
import { readFileSync } from "node:fs";
import { CloudTrailClient } from "@aws-sdk/client-cloudtrail";
import { command } from "../src/aws/proof";

describe("GetEventProof, which the SDK does not know", () => {
  it("is asked for, and answered, in the SDK's way", async () => {
    const v = JSON.parse(readFileSync("test/proof.vectors.json", "utf8"));
    let seen: any;
    const answer = { ...v.standing, EventProof: { ...v.events[0].proof, RecordsRead: 3, RecordsToRead: 4, ReceiptProblem: "p" }, ConsistencyProof: { ...v.grown[0].proof, Reason: "r" } };
    const client = new CloudTrailClient({
      endpoint: "http://127.0.0.1:1",
      region: "eu-west-1",
      credentials: { accessKeyId: "a", secretAccessKey: "b" },
      requestHandler: {
        handle: async (r: any) => {
          seen = r;
          return { response: { statusCode: 200, headers: { "content-type": "application/x-amz-json-1.1" }, body: new TextEncoder().encode(JSON.stringify(answer)) } as any };
        },
      } as any,
      streamCollector: async (b: any) => b,
    } as any);
    const got = await client.send(command({ EventId: "x", EarlierCheckpoint: "y" }));
    expect(seen.headers["x-amz-target"]).toBe("CloudTrail_20131101.GetEventProof");
    expect(seen.headers.authorization).toContain("/eu-west-1/cloudtrail/aws4_request");
    expect(JSON.parse(seen.body)).toEqual({ EventId: "x", EarlierCheckpoint: "y" });
    const { $metadata: _, ...rest } = got as any;
    expect(rest).toEqual(answer);
  });
});
