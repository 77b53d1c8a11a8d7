import { describe, expect, it } from "vitest";
import { toGraph } from "../src/graph/model";
import { layout, type Dir } from "../src/graph/layout";
import { cut, lines } from "../src/graph/lines";
import { centred, home, inside, limits, point, revealed, seen, whole, zoomed } from "../src/graph/view";

const n = 300;
const States: Record<string, object> = {};
for (let i = 0; i < n; i++)
  States["S" + i] =
    i === n - 1
      ? { Type: "Succeed" }
      : i % 10 === 8
        ? { Type: "Task", Resource: "arn:aws:states:::lambda:invoke", Catch: [{ ErrorEquals: ["States.ALL"], Next: "S" + (n - 1) }], Next: "S" + (i + 1) }
        : { Type: "Pass", Next: "S" + (i + 1) };
const graph = toGraph({ StartAt: "S0", States });
const count = (s: string, of: RegExp) => [...s.matchAll(of)].length;

describe.each(["TB", "LR"] as Dir[])("lines %s", (dir) => {
  const p = layout(graph, dir);
  const pieces = cut(p, dir);
  const all = { x0: 0, y0: 0, x1: p.w, y1: p.h };
  it("draw every edge once, with its arrow", () => {
    const drawn = lines(pieces, all, () => false);
    expect(drawn.map((l) => l.kind).sort()).toEqual(["catch", "next"]);
    const plain = p.edges.filter((e) => !e.lane && e.edge.kind === "next").length;
    const next = drawn.find((l) => l.kind === "next")!;
    expect(count(next.d, /M/g)).toBe(plain);
    expect(drawn.reduce((s, l) => s + count(l.tips, /z/g), 0)).toBe(p.edges.length);
  });
  it("draw a lane that many share once, and no more of it than is in sight", () => {
    const half = dir === "TB" ? { ...all, y0: p.h * 0.4, y1: p.h * 0.5 } : { ...all, x0: p.w * 0.4, x1: p.w * 0.5 };
    const d = lines(pieces, half, () => false).find((l) => l.kind === "catch")!.d;
    const long = [...d.matchAll(dir === "TB" ? /M[\d.-]+,([\d.-]+)V([\d.-]+)/g : /M([\d.-]+),[\d.-]+H([\d.-]+)/g)];
    expect(long.length).toBe(1);
    expect(Math.abs(Number(long[0]![2]) - Number(long[0]![1]))).toBeLessThanOrEqual((dir === "TB" ? p.h : p.w) * 0.1 + 1);
  });
  it("leave out what is out of sight", () => {
    const top = lines(pieces, { x0: 0, y0: 0, x1: p.w, y1: p.h / 20 }, () => false);
    if (dir === "TB") expect(top.reduce((s, l) => s + count(l.tips, /z/g), 0)).toBeLessThan(p.edges.length / 10);
    expect(lines(pieces, { x0: -9e6, y0: -9e6, x1: -8e6, y1: -8e6 }, () => false)).toEqual([]);
  });
  it("tell what was taken from what was not, and draw it last", () => {
    const drawn = lines(pieces, all, (e) => e.edge.source === "/S8");
    expect(drawn.map((l) => `${l.kind} ${l.taken}`)).toEqual(["catch false", "next false", "catch true", "next true"]);
  });
});

describe("view", () => {
  const size = { w: 600, h: 400 };
  it("keeps what is under the pointer where it is", () => {
    const v = { x: 37, y: -512, zoom: 0.5 };
    const w = zoomed(v, 1.7, 120, 300, [0.15, 2]);
    expect(w.zoom).toBeCloseTo(0.85);
    expect(point(w, 120, 300).x).toBeCloseTo(point(v, 120, 300).x);
    expect(point(w, 120, 300).y).toBeCloseTo(point(v, 120, 300).y);
    expect(zoomed(v, 1000, 0, 0, [0.15, 2]).zoom).toBe(2);
    expect(zoomed(v, 0.001, 0, 0, [0.15, 2]).zoom).toBe(0.15);
  });
  it("shows a drawing whole where it may be so small", () => {
    for (const p of [{ w: 300, h: 200 }, { w: 5000, h: 900 }, { w: 200, h: 3000 }]) {
      const v = whole(p, size);
      expect(inside({ x0: 0, y0: 0, x1: p.w, y1: p.h }, seen(v, size)), JSON.stringify(p)).toBe(true);
    }
    const [min] = limits({ w: 200, h: 90_000 }, size);
    expect(whole({ w: 200, h: 90_000 }, size).zoom).toBe(min);
  });
  it.each(["TB", "LR"] as Dir[])("begins where the workflow does (%s)", (dir) => {
    const p = layout(graph, dir);
    const v = home(p, size, dir);
    const start = p.nodes.find((x) => x.node.type === "Start")!;
    expect(inside({ x0: start.x, y0: start.y, x1: start.x + start.w, y1: start.y + start.h }, seen(v, size))).toBe(true);
  });
  it("moves only if a state is out of sight", () => {
    const p = layout(graph, "TB");
    const v = home(p, size, "TB");
    expect(revealed(v, p.nodes[1]!, size)).toBe(v);
    const far = p.nodes.find((x) => x.node.name === "S200")!;
    const w = revealed(v, far, size);
    expect(revealed(w, far, size)).toBe(w);
    expect(w.zoom).toBe(v.zoom);
    expect(centred({ x: 0, y: 0 }, 1, size)).toEqual({ x: 300, y: 200, zoom: 1 });
  });
});
