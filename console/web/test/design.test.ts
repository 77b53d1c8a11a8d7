import { describe, expect, it } from "vitest";
import { remove, rename as renameKey, scan, set, update } from "../src/editor/json";
import { blocks, change, drop, duplicate, insert, locate, names, rename } from "../src/editor/design";

const text = `{
  "Comment": "kept   as it is",
  "QueryLanguage": "JSONata",
  "StartAt": "A",
  "States": {
    "A": { "Type": "Pass", "Output": {"n": 1.50, "big": 12345678901234567890}, "Next": "B" },
    "B": {
        "Type": "Choice",
        "Choices": [ { "Condition": "{% $states.input.x %}", "Next": "C" } ],
        "Default": "D"
    },
    "C": {"Type": "Map", "ItemProcessor": {"StartAt": "I", "States": {"I": {"Type": "Pass", "End": true}}}, "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "D"}], "End": true},
    "D": { "Type": "Succeed" }
  }
}`;

describe("changing JSON in place", () => {
  it("leaves the rest as it was", () => {
    const t = update(text, ["States", "A", "Next"], "D");
    expect(t).toBe(text.replace('"Next": "B"', '"Next": "D"'));
    expect(update(text, ["States", "A"], JSON.parse(text).States.A)).toBe(text);
    expect(remove(text, ["States", "D"])).not.toContain("Succeed");
    expect(JSON.parse(remove(text, ["States", "D"])).States.C).toBeDefined();
    expect(renameKey(text, ["States", "A"], "É")).toContain('"É": { "Type": "Pass"');
  });
  it("adds in the style that is there", () => {
    expect(set('{"a": 1}', ["b"], 2)).toBe('{"a": 1, "b": 2}');
    expect(set('{\n    "a": 1\n}', ["b"], { c: [] })).toBe('{\n    "a": 1,\n    "b": {\n        "c": []\n    }\n}');
    expect(set("{}", ["a"], 1)).toBe('{\n  "a": 1\n}');
    expect(set('{"l": [1, 2]}', ["l", 2], 3)).toBe('{"l": [1, 2, 3]}');
    expect(remove('{"a": 1}', ["a"])).toBe("{}");
    expect(() => set("{}", ["a", "b"], 1)).toThrow();
  });
  it("agrees with JSON.parse whatever is changed", () => {
    let seed = 11;
    const rnd = (k: number) => (seed = (seed * 1103515245 + 12345) % 2 ** 31) % k;
    const make = (d: number): unknown => {
      const k = rnd(d > 3 ? 4 : 6);
      if (k === 0) return rnd(1000) / 8;
      if (k === 1) return ["", 'q"\\\n', "日本", "{% 1 %}"][rnd(4)];
      if (k === 2) return null;
      if (k === 3) return rnd(2) === 0;
      if (k === 4) return Array.from({ length: rnd(4) }, () => make(d + 1));
      return Object.fromEntries(Array.from({ length: rnd(4) }, () => ["abcdé"[rnd(5)]!, make(d + 1)]));
    };
    for (let i = 0; i < 300; i++) {
      const [a, b] = [{ r: make(0) }, { r: make(0), s: make(1) }];
      let t = JSON.stringify(a, null, [undefined, 2, "\t"][rnd(3)]);
      t = update(t, [], b);
      expect(JSON.parse(t)).toEqual(b);
      expect(scan(t).to).toBe(t.length);
    }
  });
  it("refuses what is no JSON", () => {
    for (const bad of ["", "{", '{"a":}', "[1,]", '{"a" 1}', "nul"]) expect(() => scan(bad)).toThrow();
    expect(() => scan("[".repeat(2000) + "]".repeat(2000))).toThrow();
  });
});

// whole checks that every way out of a state leads to a state of its scope.
function whole(t: string) {
  const scope = (d: any) => {
    const has = (n: unknown) => expect(Object.keys(d.States)).toContain(n);
    if (Object.keys(d.States).length) has(d.StartAt);
    for (const s of Object.values<any>(d.States)) {
      if (s.Next !== undefined) has(s.Next);
      if (s.Default !== undefined) has(s.Default);
      for (const c of [...(s.Choices ?? []), ...(s.Catch ?? [])]) has(c.Next);
      if (!["Choice", "Succeed", "Fail"].includes(s.Type)) expect(s.End === true || typeof s.Next === "string").toBe(true);
      for (const b of [...(s.Branches ?? []), ...(s.ItemProcessor ? [s.ItemProcessor] : [])]) scope(b);
    }
  };
  scope(JSON.parse(t));
  expect(new Set(names(t)).size).toBe(names(t).length);
}

describe("design", () => {
  it("finds states and what they stand in", () => {
    expect(locate(text, "I")).toMatchObject({ path: ["States", "C", "ItemProcessor", "States", "I"], scope: ["States", "C", "ItemProcessor"], language: "JSONata" });
  });
  it.each(blocks)("puts a %s into every kind of edge", (b) => {
    for (const where of [{ from: "A", to: "B", kind: "next" }, { to: "A", kind: "next" }, { from: "B", to: "C", kind: "choice" }, { from: "B", to: "D", kind: "default" }, { from: "C", to: "D", kind: "catch" }, { from: "C", kind: "next" }, { from: "I" }, { from: "A" }]) {
      const r = insert(text, b, where);
      whole(r.text);
      expect(r.text).toContain("kept   as it is");
      const p = locate(r.text, r.name)!;
      if (where.from === "I") expect(p.scope).toEqual(["States", "C", "ItemProcessor"]);
      else expect(p.scope).toEqual([]);
    }
    const empty = insert('{"StartAt": "", "States": {}}', b, {});
    whole(empty.text);
    expect(JSON.parse(empty.text).StartAt).toBe(empty.name);
  });
  it("leads through a new state", () => {
    const r = JSON.parse(insert(text, "Wait", { from: "A", to: "B", kind: "next" }).text);
    expect([r.States.A.Next, r.States.Wait.Next]).toEqual(["Wait", "B"]);
    const s = JSON.parse(insert(text, "Wait", { to: "A" }).text);
    expect([s.StartAt, s.States.Wait.Next]).toEqual(["Wait", "A"]);
    const c = JSON.parse(insert(text, "Wait", { from: "C", to: "D", kind: "catch" }).text);
    expect([c.States.C.Catch[0].Next, c.States.C.End, c.States.Wait.Next]).toEqual(["Wait", true, "D"]);
  });
  it("takes states out and leads around them", () => {
    const r = drop(text, "A");
    whole(r);
    expect(JSON.parse(r).StartAt).toBe("B");
    const all = JSON.parse(drop(text, "D"));
    expect(all.States.B.Default).toBeUndefined();
    expect(all.States.C.Catch).toBeUndefined();
    let t = text;
    for (const n of ["A", "B", "C", "D"]) t = drop(t, n);
    expect(JSON.parse(t).States).toEqual({});
    expect(drop(text, "nobody")).toBe(text);
  });
  it("renames a state wherever it is named, and nothing else", () => {
    const r = rename(text, "D", "Fertig 終");
    whole(r);
    expect(r).toBe(text.replaceAll('"D"', '"Fertig 終"'));
    expect(rename(text, "D", "A")).toBe(text);
    expect(rename(text, "D", "")).toBe(text);
  });
  it("duplicates a state with what is inside of it", () => {
    const r = duplicate(text, "C");
    whole(r.text);
    expect(r.name).toBe("C 2");
    expect(Object.keys(JSON.parse(r.text).States["C 2"].ItemProcessor.States)).toEqual(["I 2"]);
    whole(duplicate(text, "A").text);
    expect(JSON.parse(duplicate(text, "A").text).States.A.Next).toBe("A 2");
  });
  it("changes a state as a form says", () => expect(change(text, "D", { Type: "Succeed", Comment: "x" })).toBe(text.replace('{ "Type": "Succeed" }', '{ "Type": "Succeed", "Comment": "x" }')));
});
