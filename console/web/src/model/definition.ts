// What a definition says about one state, and what of it can be evaluated again.
import type { Visit } from "./history";

type Doc = Record<string, any>;

// found is a state and where it stands: the States maps that it is in, outermost first.
export type Found = { state: Doc; pointer: string; language: "JSONata" | "JSONPath"; scope: Doc };

export function find(definition: string | undefined, name: string): Found | undefined {
  const look = (d: Doc | undefined, pointer: string, language: string): Found | undefined => {
    const own = d?.QueryLanguage ?? language;
    for (const [n, s] of Object.entries<Doc>(d?.States ?? {})) {
      const at = `${pointer}/States/${n.replace(/~/g, "~0").replace(/\//g, "~1")}`;
      if (n === name) return { state: s, pointer: at, language: (s?.QueryLanguage ?? own) === "JSONata" ? "JSONata" : "JSONPath", scope: d! };
      const inner: [Doc, string][] = (Array.isArray(s?.Branches) ? s.Branches : []).map((b: Doc, i: number) => [b, `${at}/Branches/${i}`]);
      for (const k of ["ItemProcessor", "Iterator"]) if (s?.[k]) inner.push([s[k], `${at}/${k}`]);
      for (const [i, p] of inner) {
        const hit = look(i, p, own);
        if (hit) return hit;
      }
    }
    return undefined;
  };
  try {
    return look(JSON.parse(definition ?? "{}"), "", "JSONPath");
  } catch {
    return undefined;
  }
}

export type Expression = { where: string; text: string; after: boolean }; // after: it may read the result

const code = (v: unknown): string | undefined => (typeof v === "string" ? /^\s*\{%([\s\S]*)%\}\s*$/.exec(v)?.[1]?.trim() : undefined);

// expressions are the JSONata expressions of a state itself, not of the states inside of it.
export function expressions(state: Doc): Expression[] {
  const out: Expression[] = [];
  const walk = (v: unknown, where: string, after: boolean) => {
    const text = code(v);
    if (text !== undefined) out.push({ where, text, after });
    else if (Array.isArray(v)) v.forEach((x, i) => walk(x, `${where}[${i}]`, after));
    else if (v && typeof v === "object") for (const [k, x] of Object.entries(v)) walk(x, where ? `${where}.${k}` : k, after);
  };
  for (const [k, v] of Object.entries(state)) {
    if (["Branches", "ItemProcessor", "Iterator", "States", "Catch", "Retry"].includes(k)) continue;
    walk(v, k, k === "Output" || k === "Assign");
  }
  return out;
}

// result is what a Task's last attempt, or a state that hands on what it got, was answered.
export function result(v: Visit, state: Doc): string | undefined {
  const told = v.attempts.findLast((a) => a.output !== undefined)?.output;
  if (told !== undefined) return told;
  return state.Output === undefined && v.error === undefined ? v.output : undefined;
}

// evaluation is a state for TestState that has the values of expressions as its output, and the
// mock with which nobody is asked: [{"v": value}, {}], {} where an expression has no value.
export function evaluation(all: readonly Expression[], answer: string | undefined): { definition: string; mock: { result: string; fieldValidationMode: "NONE" } } {
  const wrapped = all.map((e) => (e.after && answer === undefined ? {} : `{% ( $tokaido_v := (${e.text}); $exists($tokaido_v) ? {"v": $tokaido_v} : {} ) %}`));
  return {
    definition: JSON.stringify({ Type: "Task", QueryLanguage: "JSONata", Resource: "arn:aws:states:::lambda:invoke", Arguments: { FunctionName: "none" }, Output: wrapped, End: true }),
    mock: { result: answer ?? "{}", fieldValidationMode: "NONE" },
  };
}

// context is the context object of a visit as far as the history tells. TestState takes no Map in it.
export function context(x: { executionArn?: string; name?: string; input?: string; startDate?: Date; stateMachineArn?: string; roleArn?: string }, v: Visit): string {
  const parse = (s: string | undefined) => {
    try {
      return JSON.parse(s ?? "{}");
    } catch {
      return {};
    }
  };
  const out: Doc = {
    Execution: { Id: x.executionArn, Input: parse(x.input), Name: x.name, RoleArn: x.roleArn, StartTime: x.startDate?.toISOString() },
    State: { EnteredTime: v.from.toISOString(), Name: v.name, RetryCount: Math.max(0, v.attempts.length - 1) },
    StateMachine: { Id: x.stateMachineArn, Name: x.stateMachineArn?.split(":")[6] },
  };
  return JSON.stringify(out, null, 2);
}
