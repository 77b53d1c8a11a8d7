import { beforeEach, describe, expect, it, vi } from "vitest";
import { toGraph } from "../src/graph/model";
import { layout } from "../src/graph/layout";
import { toSvg } from "../src/graph/svg";

// A history that is kept by a server which answers as it likes.
const server = vi.hoisted(() => ({ total: 0, calls: [] as { reverseOrder?: boolean; maxResults?: number }[] }));
vi.mock("../src/aws/clients", () => ({
  sfn: async () => ({
    c: undefined,
    m: {
      history: async (_: unknown, input: any) => {
        server.calls.push(input);
        await new Promise((done) => setTimeout(done, server.calls.length % 3));
        const from = Number(input.nextToken ?? 0);
        const till = Math.min(server.total, from + input.maxResults);
        const events = Array.from({ length: till - from }, (_, i) => ({ id: input.reverseOrder ? server.total - from - i : from + i + 1 }));
        return { events, nextToken: till < server.total ? String(till) : undefined };
      },
    },
  }),
}));
import { tail } from "../src/aws/history";

describe("reading a history", () => {
  beforeEach(() => (server.calls.length = 0));
  const signal = new AbortController().signal;
  it.each([0, 1, 999, 1000, 1001, 2000, 2999, 24_966, 25_000])("has each of %i events once, in order", async (n) => {
    server.total = n;
    const told: number[] = [];
    const got = await tail("x", [], signal, (k) => told.push(k));
    expect(got.map((e) => e.id)).toEqual(Array.from({ length: n }, (_, i) => i + 1));
    expect(server.calls.length).toBeLessThanOrEqual(Math.ceil(n / 1000) + 3);
  });
  it("asks only for what is new", async () => {
    server.total = 1000;
    const known = await tail("x", [], signal);
    server.calls.length = 0;
    expect(await tail("x", known, signal)).toBe(known);
    expect(server.calls).toHaveLength(1);
    server.total = 1250;
    expect((await tail("x", known, signal)).map((e) => e.id).slice(990)).toEqual(Array.from({ length: 260 }, (_, i) => 991 + i));
  });
});

describe("a graph as a file", () => {
  it("is well formed whatever states are called", () => {
    const name = `<b>&"'\u0000 日本語の長い名前のステートがここにあります`;
    const p = layout(toGraph({ StartAt: name, States: { [name]: { Type: "Choice", Choices: [{ Condition: "{% 1 < 2 & 3 > 2 %}", Next: "x" }], Default: "x" }, x: { Type: "Parallel", Branches: [{ StartAt: "y", States: { y: { Type: "Pass", End: true } } }], End: true } } }), "TB");
    const svg = toSvg(p, "TB", { status: { [name]: "succeeded", x: "failed" }, badge: { x: "a & b" }, title: "<t>" });
    const doc = new DOMParser().parseFromString(svg, "image/svg+xml");
    expect(doc.querySelector("parsererror")).toBeNull();
    expect(doc.querySelector("title")!.textContent).toBe("<t>");
    expect(doc.querySelectorAll("path[marker-end]").length).toBe(p.edges.length);
    expect([...doc.querySelectorAll("text")].some((t) => t.textContent!.startsWith("<b>&"))).toBe(true);
  });
});
