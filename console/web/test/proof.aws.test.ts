import { describe, expect, it } from "vitest";
import { readFileSync } from "node:fs";
import { CloudTrailClient } from "@aws-sdk/client-cloudtrail";
import { command } from "../src/aws/proof";

// answering is a client whose server always answers so.
function answering(statusCode: number, body: unknown) {
  const asked: any[] = [];
  const client = new CloudTrailClient({
    endpoint: "http://127.0.0.1:1",
    region: "eu-west-1",
    credentials: { accessKeyId: "a", secretAccessKey: "b" },
    requestHandler: {
      handle: async (r: any) => {
        asked.push(r);
        return { response: { statusCode, headers: { "content-type": "application/x-amz-json-1.1" }, body: new TextEncoder().encode(JSON.stringify(body)) } as any };
      },
    } as any,
    streamCollector: async (b: any) => b,
  } as any);
  return { client, asked };
}

describe("GetEventProof, which the SDK does not know", () => {
  it("is asked for, and answered, in the SDK's way", async () => {
    const v = JSON.parse(readFileSync("test/proof.vectors.json", "utf8"));
    const answer = { ...v.standing, EventProof: { ...v.events[0].proof, RecordsRead: 3, RecordsToRead: 4, ReceiptProblem: "p" }, ConsistencyProof: { ...v.grown[0].proof, Reason: "r" } };
    const { client, asked } = answering(200, answer);
    const { $metadata: _, ...got } = (await client.send(command({ EventId: "x", EarlierCheckpoint: "y" }))) as any;
    expect(got).toEqual(answer);
    expect(asked[0].headers["x-amz-target"]).toBe("CloudTrail_20131101.GetEventProof");
    expect(asked[0].headers.authorization).toContain("/eu-west-1/cloudtrail/aws4_request");
    expect(JSON.parse(asked[0].body)).toEqual({ EventId: "x", EarlierCheckpoint: "y" });
  });
  it("is refused in the SDK's way", async () => {
    const { client } = answering(400, { __type: "AccessDeniedException", Message: "User: u is not authorized" });
    await expect(client.send(command({ EventId: "x" }))).rejects.toMatchObject({ name: "AccessDeniedException", message: "User: u is not authorized" });
  });
});
