import { EditorState } from "@codemirror/state";
import { ensureSyntaxTree } from "@codemirror/language";
import { describe, expect, it } from "vitest";
import { asl } from "../src/editor/jsonata";
import { localLint } from "../src/editor/lint";

const of = (d: unknown) => {
  const st = EditorState.create({ doc: typeof d === "string" ? d : JSON.stringify(d, null, 1), extensions: [asl()] });
  ensureSyntaxTree(st, st.doc.length, 60_000);
  return localLint(st);
};
const chain = (n: number, start = "S0") => ({ StartAt: start, States: Object.fromEntries(Array.from({ length: n }, (_, i) => ["S" + i, i === n - 1 ? { Type: "Succeed" } : { Type: "Pass", Next: "S" + (i + 1) }])) });

describe("local checks", () => {
  it("find targets that are not there, and states that nothing leads to", () => {
    const found = of({ StartAt: "A", States: { A: { Type: "Pass", Next: "Nowhere" }, B: { Type: "Succeed" } } });
    expect(found.map((f) => [f.severity, f.message.split(":")[0]])).toEqual([["error", "MISSING_TRANSITION_TARGET"], ["warning", "UNREACHABLE_STATE"]]);
  });
  it("say where a text ceases to be JSON", () => expect(of('{"StartAt": }')[0]!.source).toBe("JSON"));
  it("follow a workflow of any length", () => expect(of(chain(20_000))).toEqual([]));
  it("underline so many problems and no more", () => expect(of(chain(1000, "S")).length).toBe(100));
});
