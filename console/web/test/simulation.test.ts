import { expect, it } from "vitest";
import { keys, list, question } from "../src/model/simulation";
import { services } from "../src/model/trust";
import type { Record_ } from "../src/model/inference";

const record = (more: Partial<Record_>, json: unknown): Record_ => ({
  id: "e", name: "Converse", source: "bedrock.amazonaws.com", time: new Date(0), user: "u", region: "ap-northeast-1", attempts: [], resources: [], readOnly: true, json: JSON.stringify(json), ...more,
});

it("a refusal is asked again as it was decided: the role, the action and the resource of its words", () => {
  const session = { userIdentity: { arn: "arn:aws:sts::111122223333:assumed-role/R/s", sessionContext: { sessionIssuer: { arn: "arn:aws:iam::111122223333:role/R" } } } };
  const q = question(
    record({ errorMessage: "User: arn:aws:sts::111122223333:assumed-role/R/s is not authorized to perform: bedrock:InvokeModel on resource: arn:aws:bedrock:ap-northeast-1:111122223333:inference-profile/jp.x because no identity-based policy allows the bedrock:InvokeModel action", resources: ["arn:aws:bedrock:ap-northeast-3::foundation-model/x", "not an ARN"] }, session),
  );
  expect(q).toEqual({
    principal: "arn:aws:iam::111122223333:role/R",
    actions: ["bedrock:InvokeModel"],
    resources: ["arn:aws:bedrock:ap-northeast-3::foundation-model/x", "arn:aws:bedrock:ap-northeast-1:111122223333:inference-profile/jp.x"],
    keys: [{ key: "aws:RequestedRegion", value: "ap-northeast-1" }],
  });
});

it("operations have the action that IAM knows them by", () => {
  const of = (name: string, source: string) => question(record({ name, source }, {})).actions[0];
  expect(of("ConverseStream", "bedrock.amazonaws.com")).toBe("bedrock:InvokeModelWithResponseStream");
  expect(of("ListFoundationModels", "bedrock.amazonaws.com")).toBe("bedrock:ListFoundationModels");
  expect(of("StartExecution", "states.amazonaws.com")).toBe("states:StartExecution");
  expect(question(record({ json: "no JSON" }, {})).principal).toBe("");
});

it("text fields are read line by line", () => {
  expect(list(" a:b\nc:d, a:b ")).toEqual(["a:b", "c:d"]);
  expect(keys("aws:RequestedRegion = eu-west-1\nnonsense\naws:PrincipalTag/x=a = b")).toEqual([{ key: "aws:RequestedRegion", value: "eu-west-1" }, { key: "aws:PrincipalTag/x", value: "a = b" }]);
});

it("a trust policy's principals", () => {
  expect(services('{"Statement":{"Effect":"Allow","Principal":{"Service":["a","b"],"AWS":"c"}}}')).toEqual(["a", "b", "c"]);
  expect(services('{"Statement":[{"Effect":"Deny","Principal":"*"},{"Effect":"Allow","Principal":"*"}]}')).toEqual(["*"]);
  expect(services("no JSON")).toEqual([]);
});
