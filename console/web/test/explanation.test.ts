import { expect, it } from "vitest";
import { decoded, entries, lines, same, target, type Fix } from "../src/model/explanation";

const fix = (more: Partial<Fix>): Fix => ({ layer: "identity", policy: "models", after: "{}", diff: "", ...more });

it("a message without an explanation is another server's", () => {
  expect(decoded(undefined)).toBeUndefined();
  expect(decoded("no JSON")).toBeUndefined();
  expect(decoded('{"allowed":false}')).toBeUndefined();
  expect(decoded('{"explanation":{"fixed":true}}')?.fixed).toBe(true);
});

it("a unified diff is taken apart, without the names of its files", () => {
  expect(lines("--- a/models.json\n+++ b/models.json\n@@ -1 +1 @@\n {\n-  1\n+  2\n\\ No newline at end of file\n").map((l) => l.kind)).toEqual(["head", "same", "remove", "add"]);
});

it("a fix is applied to what carries the policy, and to nothing that IAM cannot change", () => {
  const role = "arn:aws:iam::111122223333:role/service-role/deep/Pasted";
  expect(target(fix({ owner: role }))).toEqual({ kind: "role", name: "Pasted", policy: "models" });
  expect(target(fix({ owner: "arn:aws:iam::111122223333:user/mika" }))).toEqual({ kind: "user", name: "mika", policy: "models" });
  expect(target(fix({ owner: role, arn: "arn:aws:iam::111122223333:policy/p" }))).toEqual({ kind: "managed", arn: "arn:aws:iam::111122223333:policy/p" });
  expect(target(fix({ owner: role, arn: "arn:aws:iam::aws:policy/AmazonBedrockFullAccess" }))).toBeUndefined();
  expect(target(fix({ owner: role, layer: "trust" }))).toEqual({ kind: "trust", role: "Pasted" });
  expect(target(fix({ owner: role, layer: "boundary", arn: "arn:aws:iam::111122223333:policy/b" }))).toEqual({ kind: "managed", arn: "arn:aws:iam::111122223333:policy/b" });
  for (const layer of ["scp", "rcp", "resource", "session"]) expect(target(fix({ owner: role, layer }))).toBeUndefined();
  expect(target(fix({ owner: "arn:aws:iam::111122223333:root" }))).toBeUndefined();
});

it("documents are compared without their white space", () => {
  expect(same('{"a": 1}', '{ "a":1 }')).toBe(true);
  expect(same('{"a": 1}', undefined)).toBe(false);
  expect(same("not JSON", "not JSON")).toBe(false);
});

it("a simulation gets the condition keys of the part", () => {
  const part = { part: "profile", action: "a:b", resource: "*", allowed: false, conditions: { items: [{ key: "aws:x", values: { items: [{ value: "1" }, { value: "2" }] } }, { key: "aws:y", values: { items: [{ value: "3" }] } }, { key: "aws:z", values: { items: [] } }] } };
  expect(entries(part)).toEqual([
    { ContextKeyName: "aws:x", ContextKeyType: "stringList", ContextKeyValues: ["1", "2"] },
    { ContextKeyName: "aws:y", ContextKeyType: "string", ContextKeyValues: ["3"] },
  ]);
});
