import { describe, expect, it } from "vitest";
import { asksModel, toGraph, type Scope } from "../src/graph/model";
import { layoutDagre } from "../src/graph/layout";

const pass = { Type: "Pass", End: true };
const ask = { Type: "Task", Resource: "arn:aws:states:::bedrock:invokeModel", End: true };
const definition = {
  StartAt: "First",
  States: {
    First: { Type: "Choice", Choices: [{ Condition: "{% $states.input.n > 0 %}", Next: "Each" }], Default: "Both" },
    Each: { Type: "Map", ItemProcessor: { StartAt: "Inner", States: { Inner: { Type: "Map", ItemProcessor: { StartAt: "Ask", States: { Ask: ask } }, End: true } } }, Next: "Both" },
    Both: {
      Type: "Parallel",
      Branches: [{ StartAt: "A", States: { A: { Type: "Pass", Next: "B" }, B: pass } }, { StartAt: "C", States: { C: { Type: "Wait", Seconds: 1, End: true } } }],
      Catch: [{ ErrorEquals: ["States.ALL"], Next: "Broken" }],
      Next: "First",
    },
    Broken: { Type: "Fail" },
  },
};
const count = (s: Scope): number => s.nodes.reduce((n, x) => n + 1 + x.scopes.reduce((m, c) => m + count(c), 0), 0);

describe("graph", () => {
  const g = toGraph(definition, true);
  it("has every state, Start and End", () => expect(count(g)).toBe(9 + 2));
  it("draws every way out of a state", () => expect(g.edges.map((e) => e.kind).sort()).toEqual(["catch", "choice", "default", "next", "next", "next", "next"]));
  it.each(["TB", "LR"] as const)("lays out %s without overlaps inside one parent", (dir) => {
    const p = layoutDagre(g, dir);
    for (const a of p.nodes)
      for (const b of p.nodes) {
        if (a === b || a.parent !== b.parent) continue;
        const hit = a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
        expect(hit, `${a.node.name} / ${b.node.name}`).toBe(false);
      }
    for (const n of p.nodes.filter((x) => x.parent)) {
      const q = p.nodes.find((x) => x.node.id === n.parent)!;
      expect(n.x >= 0 && n.y >= 0 && n.x + n.w <= q.w && n.y + n.h <= q.h, n.node.name).toBe(true);
    }
  });
  it("knows which states ask models", () => {
    expect(asksModel(ask)).toBe(true);
    expect(asksModel({ Resource: "arn:aws:states:::aws-sdk:bedrockruntime:converse" })).toBe(true);
    expect(asksModel({ Resource: "arn:aws:states:::lambda:invoke" })).toBe(false);
    expect(asksModel(null)).toBe(false);
  });
  it("survives what is not finished yet", () => {
    for (const j of [{}, { StartAt: "x" }, { States: null }, { StartAt: "a", States: { a: null } }, { StartAt: "a", States: { a: { Type: "Task", Next: "zz" } } }])
      expect(() => layoutDagre(toGraph(j), "TB")).not.toThrow();
  });
});
