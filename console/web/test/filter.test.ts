import { expect, it } from "vitest";
import { readFilter, writeFilter, type Filter } from "../src/model/filter";

it("a filter comes back from an address as it was", () => {
  for (const f of [
    { operation: "and", tokens: [] },
    { operation: "and", tokens: [{ propertyKey: "errorCode", operator: "!=", value: "AccessDenied" }] },
    { operation: "or", tokens: [{ propertyKey: "user", operator: ":", value: "a=b&c" }, { operator: ":", value: "自由な\n文字" }, { propertyKey: "name", operator: "=", value: "" }] },
  ] as Filter[]) {
    const q = new URLSearchParams("in=all&f=name=Old&any=1&id=x");
    writeFilter(q, f, ["id"]);
    expect(q.get("in")).toBe("all");
    expect(q.has("id")).toBe(false);
    expect(readFilter(new URLSearchParams(String(q)), ["id"])).toEqual(f);
  }
});

it("a link may name what to look for, and nonsense is left out", () => {
  expect(readFilter(new URLSearchParams("name=InvokeModel&f=&f=what%20is%20this"), ["id", "name"])).toEqual({ operation: "and", tokens: [{ propertyKey: "name", operator: "=", value: "InvokeModel" }] });
});
