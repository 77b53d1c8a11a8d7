import { describe, expect, it } from "vitest";
import { asksModel, toGraph, type Scope } from "../src/graph/model";
import { absolute, layout, neighbour } from "../src/graph/layout";

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
    const p = layout(g, dir);
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
      expect(() => layout(toGraph(j), "TB")).not.toThrow();
  });
});

describe("layout", () => {
  const many = (n: number) => {
    const States: Record<string, object> = {};
    for (let i = 0; i < n; i++) {
      const to = (k: number) => "S" + Math.min(n - 1, i + k);
      States["S" + i] =
        i === n - 1
          ? { Type: "Succeed" }
          : i % 10 === 5
            ? { Type: "Choice", Choices: [{ Condition: "{% $x %}", Next: to(7) }], Default: to(1) }
            : i % 10 === 8
              ? { ...ask, End: undefined, Catch: [{ ErrorEquals: ["States.ALL"], Next: "S" + (n - 1) }], Next: to(1) }
              : { Type: "Pass", Next: to(1) };
    }
    return toGraph({ StartAt: "S0", States });
  };
  it("takes edges that go back, or far, out of the way", () => {
    const p = layout(toGraph({ StartAt: "A", States: { A: { Type: "Pass", Next: "B" }, B: { Type: "Choice", Choices: [{ Condition: "{% $x %}", Next: "A" }], Default: "C" }, C: { Type: "Succeed" } } }), "TB");
    const back = p.edges.find((e) => e.edge.target === "/A" && e.edge.source === "/B")!;
    expect(back.lane).toBe(true);
    expect(Math.min(...back.points.map((q) => q.x))).toBeLessThan(Math.min(...p.nodes.map((n) => n.x)));
    expect(p.edges.filter((e) => e.lane).length).toBe(1);
    const a = p.nodes.find((n) => n.node.name === "A")!;
    const c = p.nodes.find((n) => n.node.name === "C")!;
    expect(a.y).toBeLessThan(c.y);
  });
  it("leads no edge through a state", () => {
    const p = layout(toGraph(definition), "TB");
    const at = absolute(p);
    for (const e of p.edges)
      for (const n of at.values()) {
        if (n.node.scopes.length || n.node.id === e.edge.source || n.node.id === e.edge.target) continue;
        for (const q of e.points) expect(q.x > n.x && q.x < n.x + n.w && q.y > n.y && q.y < n.y + n.h, `${e.edge.id} in ${n.node.name}`).toBe(false);
      }
  });
  it("draws a chain straight", () => {
    const p = layout(toGraph({ StartAt: "A", States: { A: { Type: "Pass", Next: "B" }, B: { Type: "Pass", Next: "C" }, C: { Type: "Succeed" } } }), "TB");
    expect(new Set(p.nodes.map((n) => Math.round(n.x + n.w / 2))).size).toBe(1);
  });
  it.each(["TB", "LR"] as const)("places a thousand states %s inside its box, each once, the same way always", (dir) => {
    const g = many(1000);
    const p = layout(g, dir);
    expect(p.nodes.length).toBe(1002);
    for (const n of p.nodes) expect(n.x >= 0 && n.y >= 0 && n.x + n.w <= p.w + 0.1 && n.y + n.h <= p.h + 0.1, n.node.name).toBe(true);
    for (const e of p.edges) for (const q of e.points) expect(q.x >= 0 && q.y >= 0 && q.x <= p.w + 0.1 && q.y <= p.h + 0.1, e.edge.id).toBe(true);
    expect(JSON.stringify(layout(many(1000), dir))).toBe(JSON.stringify(p));
  }, 60_000);
  it("lets the arrow keys follow the edges, and places where there is none", () => {
    const p = layout(toGraph(definition), "TB");
    const at = absolute(p);
    expect(neighbour(p, at, "/First", "ArrowDown", "TB")).toBe("/Each");
    expect(neighbour(p, at, "/Each", "ArrowUp", "TB")).toBe("/First");
    expect(neighbour(p, at, "/First", "ArrowUp", "TB")).not.toBe("#start");
    expect(neighbour(p, at, "/Both/0/A", "ArrowDown", "TB")).toBe("/Both/0/B");
    expect(neighbour(p, at, "/Both/0/A", "ArrowRight", "TB")).toBe("/Both/1/C");
    expect(neighbour(p, at, "/nobody", "ArrowLeft", "TB")).toBeUndefined();
  });
});
