import { describe, expect, it } from "vitest";
import { read } from "../src/model/history";
import { calls, changes, compare, diff, hops, maps, redriven, variables, within } from "../src/model/run";
import { context, evaluation, expressions, find, result } from "../src/model/definition";

const at = (s: number) => new Date(1_700_000_000_000 + s * 1000);
let n = 0;
const ev = (id: number, previousEventId: number, type: string, more: object = {}) => ({ id, previousEventId, type, timestamp: at(++n), ...more }) as any;
const entered = (name: string, input = "{}") => ({ stateEnteredEventDetails: { name, input } });
const exited = (name: string, assignedVariables?: object) => ({ stateExitedEventDetails: { name, output: "1", assignedVariables } });

// Prepare assigns x; a Map of two items, of which #1 fails; in each a state that assigns y.
const events = () => [
  ev(1, 0, "ExecutionStarted", { executionStartedEventDetails: { input: "{}" } }),
  ev(2, 0, "PassStateEntered", entered("Prepare")),
  ev(3, 2, "PassStateExited", exited("Prepare", { x: "1" })),
  ev(4, 3, "MapStateEntered", entered("Each")),
  ev(5, 4, "MapStateStarted", { mapStateStartedEventDetails: { length: 2 } }),
  ev(6, 5, "MapIterationStarted", { mapIterationStartedEventDetails: { name: "Each", index: 0 } }),
  ev(7, 6, "PassStateEntered", entered("In")),
  ev(8, 5, "MapIterationStarted", { mapIterationStartedEventDetails: { name: "Each", index: 1 } }),
  ev(9, 7, "PassStateExited", exited("In", { y: "2" })),
  ev(10, 9, "TaskStateEntered", entered("Ask")),
  ev(11, 8, "PassStateEntered", entered("In")),
  ev(12, 11, "PassStateExited", exited("In", { y: "3" })),
  ev(13, 10, "TaskScheduled", { taskScheduledEventDetails: { resourceType: "bedrock", resource: "invokeModel", parameters: "{}" } }),
  ev(14, 13, "TaskSucceeded", { taskSucceededEventDetails: { output: '{"ok":true}' } }),
  ev(15, 14, "TaskStateExited", exited("Ask")),
  ev(16, 12, "TaskStateEntered", entered("Ask")),
  ev(17, 15, "MapIterationSucceeded", { mapIterationSucceededEventDetails: { name: "Each", index: 0 } }),
  ev(18, 16, "TaskScheduled", { taskScheduledEventDetails: { resourceType: "bedrock", resource: "invokeModel" } }),
  ev(19, 18, "TaskFailed", { taskFailedEventDetails: { error: "E" } }),
  ev(20, 19, "MapIterationFailed", { mapIterationFailedEventDetails: { name: "Each", index: 1 } }),
  ev(21, 20, "MapStateFailed", {}),
  ev(22, 21, "ExecutionFailed", { executionFailedEventDetails: { error: "E" } }),
];

describe("run", () => {
  n = 0;
  const h = read(events());
  const asks = h.visits.filter((v) => v.name === "Ask");
  it("has the variables of the state's own scope and of those around it", () => {
    expect(asks.map(variables)).toEqual([{ x: "1", y: "2" }, { x: "1", y: "3" }]);
    expect(variables(h.visits[0]!)).toEqual({});
    expect(changes(h.visits[0]!)).toEqual([{ name: "x", before: undefined, after: "1" }]);
    expect(h.visitOf.get(14)).toBe(asks[0]);
    expect(asks[0]!.attempts[0]!.output).toBe('{"ok":true}');
  });
  it("lists iterations, failures first, and shows one", () => {
    const [each] = maps(h, {});
    expect(each!.iterations.map((i) => [i.index, i.status])).toEqual([[1, "failed"], [0, "succeeded"]]);
    expect(within(h.visits, { Each: 1 }).map((v) => v.name)).toEqual(["Prepare", "Each", "In", "Ask"]);
    expect(within(h.visits, {}).length).toBe(h.visits.length);
  });
  it("knows what a redrive runs again", () => {
    const r = redriven(h);
    expect(r.again.map((v) => v.name + v.where)).toEqual(["AskEach #1"]);
    expect(r.kept).toBe(4);
  });
  it("gives calls to the visit that made them, and to none where two could have", () => {
    const rec = (id: string, s: number) => ({ id, time: at(s), state: "Ask", attempts: [], resources: [], source: "bedrock.amazonaws.com", name: "InvokeModel" }) as any;
    const got = calls(h.visits, [rec("a", 13.2), { ...rec("b", 18.5), errorCode: "E" }, { ...rec("c", 13), state: "Nobody" }]);
    expect([...got].map(([id, rs]) => [id, rs.map((r) => r.id)])).toEqual([[asks[0]!.id, ["a"]], [asks[1]!.id, ["b"]]]);
    expect(hops({ attempts: [{ region: "t", error: "Throttled" }, { region: "o" }], served: "o" } as any)).toBe("t ✕ → o");
  });
  it("tells calls of one second apart by their tokens, and by what is left", () => {
    const run = (...answers: [number, number][]) => read([ev(1, 0, "ExecutionStarted"), ...answers.flatMap(([i, o], k) => [
      { ...ev(10 * k + 2, 0, "TaskStateEntered", entered("Ask")), timestamp: at(100) },
      { ...ev(10 * k + 3, 10 * k + 2, "TaskScheduled", { taskScheduledEventDetails: { resource: "x" } }), timestamp: at(100.1) },
      { ...ev(10 * k + 4, 10 * k + 3, "TaskSucceeded", { taskSucceededEventDetails: { output: JSON.stringify({ Body: { usage: { input_tokens: i, output_tokens: o } } }) } }), timestamp: at(100.5) },
    ])]);
    const rec = (id: string, inputTokens: number, outputTokens: number) => ({ id, time: at(100), state: "Ask", attempts: [], inputTokens, outputTokens }) as any;
    const told = (h: ReturnType<typeof read>, rs: any[]) => [...calls(h.visits, rs)].map(([id, r]) => [id, ...r.map((x) => x.id)]).sort();
    expect(told(run([1, 2], [3, 4]), [rec("b", 3, 4), rec("a", 1, 2)])).toEqual([[12, "b"], [2, "a"]]);
    expect(told(run([1, 2], [1, 2]), [rec("b", 1, 2), rec("a", 1, 2)])).toEqual([]);
    expect(told(run([1, 2]), [rec("a", 1, 2), rec("z", 9, 9)])).toEqual([[2, "a"]]);
  });
  it("knows the state of an evaluation that failed, and iterations that another one ended", () => {
    const failed = read([
      ev(1, 0, "ExecutionStarted"),
      ev(2, 0, "PassStateEntered", entered("Prepare")),
      ev(3, 0, "EvaluationFailed", { evaluationFailedEventDetails: { state: "Prepare", error: "Q", cause: "because" } }),
      ev(4, 3, "ExecutionFailed", { executionFailedEventDetails: { error: "Q" } }),
    ]);
    expect(failed.visits.map((v) => [v.name, v.status, v.cause])).toEqual([["Prepare", "failed", "because"]]);
    const ended = read([
      ...events().slice(0, 13),
      ev(14, 11, "MapIterationFailed", { mapIterationFailedEventDetails: { name: "Each", index: 1 } }),
      ev(15, 11, "MapIterationAborted", { mapIterationAbortedEventDetails: { name: "Each", index: 0 } }),
    ]);
    expect(ended.iterations.map((i) => i.status)).toEqual(["aborted", "failed"]);
    expect(ended.visits.find((v) => v.name === "Ask")).toMatchObject({ status: "aborted", attempts: [{ aborted: true }] });
  });
  it("goes on with what a redrive runs again, though its events do not follow it", () => {
    const before = events();
    const again = read([
      ...before,
      ev(23, 22, "ExecutionRedriven", { executionRedrivenEventDetails: { redriveCount: 1 } }),
      ev(24, 23, "TaskScheduled", { taskScheduledEventDetails: { resourceType: "bedrock", resource: "invokeModel" } }),
    ]);
    expect(again.visits.filter((v) => v.status === "running").map((v) => v.name + v.where)).toEqual(["Each", "AskEach #1"]);
    expect(again.iterations.map((i) => i.status)).toEqual(["succeeded", "running"]);
    expect(again.redrives.length).toBe(1);
    const ok = read([
      ...before,
      ev(23, 22, "ExecutionRedriven", {}),
      ev(24, 23, "TaskScheduled", { taskScheduledEventDetails: { resourceType: "bedrock", resource: "invokeModel" } }),
      ev(25, 24, "TaskSucceeded", { taskSucceededEventDetails: { output: "1" } }),
      ev(26, 25, "TaskStateExited", exited("Ask")),
      ev(27, 26, "MapIterationSucceeded", { mapIterationSucceededEventDetails: { name: "Each", index: 1 } }),
      ev(28, 27, "MapStateSucceeded", {}),
      ev(29, 28, "MapStateExited", exited("Each")),
      ev(30, 29, "ExecutionSucceeded", {}),
    ]);
    expect(ok.visits.map((v) => v.status)).toEqual(ok.visits.map(() => "succeeded"));
    expect(ok.visits.find((v) => v.where === "Each #1" && v.name === "Ask")!.attempts.map((a) => a.error)).toEqual(["E", undefined]);
    const atOnce = read([...before, ev(23, 22, "ExecutionRedriven", {}), ev(24, 23, "MapIterationFailed", { mapIterationFailedEventDetails: { name: "Each", index: 1 } }), ev(25, 23, "MapStateFailed", {}), ev(26, 25, "ExecutionFailed", { executionFailedEventDetails: { error: "E" } })]);
    expect(atOnce.visits.filter((v) => v.status === "failed").map((v) => v.name)).toEqual(["Each", "Ask"]);
    expect(atOnce.iterations.map((i) => i.status)).toEqual(["succeeded", "failed"]);
  });
  it("compares two runs", () => {
    const other = read(events().slice(0, 15));
    const p = compare(h, other);
    expect(p.filter((x) => x.differs.length).map((x) => [x.name, x.where, x.differs])).toEqual([
      ["Each", "", ["status"]],
      ["Ask", "Each #1", ["path"]],
    ]);
  });
});

describe("diff", () => {
  const text = (a: string, b: string) => diff(a, b)!.map((l) => ({ same: " ", less: "-", more: "+" })[l.kind] + l.text);
  it("shows what changed", () => {
    expect(text("a\nb\nc", "a\nc\nd")).toEqual([" a", "-b", " c", "+d"]);
    expect(text("", "")).toEqual([" "]);
    expect(text("x", "y")).toEqual(["-x", "+y"]);
  });
  it("can be undone and redone", () => {
    let seed = 7;
    const rnd = (k: number) => (seed = (seed * 1103515245 + 12345) % 2 ** 31) % k;
    for (let i = 0; i < 200; i++) {
      const make = () => Array.from({ length: rnd(9) }, () => "abc"[rnd(3)]).join("\n");
      const [a, b] = [make(), make()];
      const d = diff(a, b)!;
      expect(d.filter((l) => l.kind !== "more").map((l) => l.text).join("\n")).toBe(a);
      expect(d.filter((l) => l.kind !== "less").map((l) => l.text).join("\n")).toBe(b);
    }
  });
  it("gives up on what is too long", () => expect(diff("a\n".repeat(3000), "b\n".repeat(3000))).toBeUndefined());
});

describe("definition", () => {
  const definition = JSON.stringify({
    QueryLanguage: "JSONata",
    States: {
      A: { Type: "Map", Items: "{% $states.input %}", ItemProcessor: { States: { "B/~": { Type: "Task", Arguments: { m: ["{% $x + 1 %}", "plain"] }, Output: "{%$states.result%}", Catch: [{ Output: "{% 1 %}" }] }, C: { QueryLanguage: "JSONPath", Type: "Pass" } } } },
    },
  });
  it("finds states wherever they are", () => {
    expect(find(definition, "B/~")).toMatchObject({ pointer: "/States/A/ItemProcessor/States/B~1~0", language: "JSONata" });
    expect(find(definition, "C")!.language).toBe("JSONPath");
    expect(find(definition, "Z")).toBeUndefined();
    expect(find("{", "A")).toBeUndefined();
  });
  it("collects a state's own expressions, and makes one state of them", () => {
    const b = find(definition, "B/~")!.state;
    expect(expressions(b)).toEqual([
      { where: "Arguments.m[0]", text: "$x + 1", after: false },
      { where: "Output", text: "$states.result", after: true },
    ]);
    expect(expressions(find(definition, "A")!.state).map((e) => e.where)).toEqual(["Items"]);
    const asked = evaluation(expressions(b), undefined);
    expect(JSON.parse(asked.definition).Output[0]).toContain("($x + 1)");
    expect(JSON.parse(asked.definition).Output[1]).toEqual({});
    expect(JSON.parse(evaluation(expressions(b), "1").definition).Output[1]).toContain("$states.result");
  });
  it("knows a result and a context", () => {
    const v = read(events()).visits.find((x) => x.name === "Ask")!;
    expect(result(v, { Output: "{% 1 %}" })).toBe('{"ok":true}');
    expect(JSON.parse(context({ name: "n", input: "[1]", startDate: at(0) }, v))).toMatchObject({ Execution: { Name: "n", Input: [1] }, State: { Name: "Ask", RetryCount: 0 } });
    expect(context({}, v)).not.toContain('"Map"');
  });
});
