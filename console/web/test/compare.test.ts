import { expect, it } from "vitest";
import { compare } from "../src/model/compare";

it("records stand side by side, member by member", () => {
  expect(compare(['{"a":1,"b":{"c":"x","e":[]}}', '{"a":1,"b":{"c":"y"},"d":[true]}'])).toEqual([
    { path: "a", values: ["1", "1"], differs: false },
    { path: "b.c", values: ["x", "y"], differs: true },
    { path: "b.e", values: ["[]", undefined], differs: true },
    { path: "d.0", values: [undefined, "true"], differs: true },
  ]);
  expect(compare(["no JSON"])).toEqual([{ path: "", values: ["no JSON"], differs: false }]);
});
