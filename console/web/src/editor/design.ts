// Changing a definition by its states: every change is one of its text.
import { at, remove as removeAt, rename as renameAt, scan, set, update, type Path } from "./json";

type Doc = Record<string, any>;
export type StateType = "Task" | "Pass" | "Choice" | "Wait" | "Parallel" | "Map" | "Succeed" | "Fail";
export type Block = StateType | "InvokeModel" | "Converse" | "Lambda" | "StartExecution";
export const blocks: Block[] = ["InvokeModel", "Converse", "Lambda", "StartExecution", "Task", "Pass", "Choice", "Parallel", "Map", "Wait", "Succeed", "Fail"];

export type Place = { path: Path; scope: Path; state: Doc; language: "JSONata" | "JSONPath"; siblings: string[] };

// walk visits every state of a definition with where it stands.
function walk(d: Doc | undefined, path: Path, language: string, visit: (name: string, p: Place) => void) {
  const own = d?.QueryLanguage ?? language;
  const names = Object.keys(d?.States ?? {});
  for (const name of names) {
    const state = d!.States[name] as Doc;
    const here = [...path, "States", name];
    visit(name, { path: here, scope: path, state, language: (state?.QueryLanguage ?? own) === "JSONata" ? "JSONata" : "JSONPath", siblings: names });
    (Array.isArray(state?.Branches) ? state.Branches : []).forEach((b: Doc, i: number) => walk(b, [...here, "Branches", i], own, visit));
    for (const k of ["ItemProcessor", "Iterator"]) if (state?.[k]) walk(state[k], [...here, k], own, visit);
  }
}

export function locate(text: string, name: string): Place | undefined {
  let hit: Place | undefined;
  walk(JSON.parse(text), [], "JSONPath", (n, p) => {
    if (n === name) hit ??= p;
  });
  return hit;
}

export function names(text: string): string[] {
  const out: string[] = [];
  walk(JSON.parse(text), [], "JSONPath", (n) => out.push(n));
  return out;
}

// free is a name that no state has yet.
export function free(taken: readonly string[], base: string): string {
  if (!taken.includes(base)) return base;
  for (let i = 2; ; i++) if (!taken.includes(`${base} ${i}`)) return `${base} ${i}`;
}

const label: Record<Block, string> = {
  InvokeModel: "Invoke model",
  Converse: "Converse",
  Lambda: "Invoke function",
  StartExecution: "Start execution",
  Task: "Task",
  Pass: "Pass",
  Choice: "Choice",
  Parallel: "Parallel",
  Map: "Map",
  Wait: "Wait",
  Succeed: "Succeed",
  Fail: "Fail",
};

// template is a new state of a kind; name makes names for states inside of it.
function template(b: Block, jsonata: boolean, name: (base: string) => string): Doc {
  const args = (a: Doc) => (jsonata ? { Arguments: a } : { Parameters: a });
  const task = (resource: string, a: Doc) => ({ Type: "Task", Resource: "arn:aws:states:::" + resource, ...args(a) });
  const inner = (base: string): Doc => {
    const n = name(base);
    return { StartAt: n, States: { [n]: { Type: "Pass", End: true } } };
  };
  switch (b) {
    case "InvokeModel":
      return task("bedrock:invokeModel", {
        ModelId: "jp.anthropic.claude-sonnet-4-5-20250929-v1:0",
        Body: { anthropic_version: "bedrock-2023-05-31", max_tokens: 200, messages: [{ role: "user", content: jsonata ? "{% $states.input.prompt %}" : "Hello" }] },
      });
    case "Converse":
      return task("aws-sdk:bedrockruntime:converse", { ModelId: "jp.anthropic.claude-sonnet-4-5-20250929-v1:0", Messages: [{ Role: "user", Content: [{ Text: jsonata ? "{% $states.input.prompt %}" : "Hello" }] }] });
    case "Lambda":
      return task("lambda:invoke", { FunctionName: "FUNCTION_NAME", ...(jsonata ? { Payload: "{% $states.input %}" } : { "Payload.$": "$" }) });
    case "StartExecution":
      return task("states:startExecution.sync:2", { StateMachineArn: "STATE_MACHINE_ARN", ...(jsonata ? { Input: "{% $states.input %}" } : { "Input.$": "$" }) });
    case "Task":
      return { Type: "Task", Resource: "arn:aws:states:::SERVICE:ACTION", ...args({}) };
    case "Wait":
      return { Type: "Wait", Seconds: 5 };
    case "Fail":
      return { Type: "Fail", Error: "ErrorName", Cause: "What went wrong" };
    case "Parallel":
      return { Type: "Parallel", Branches: [inner("Branch 1"), inner("Branch 2")] };
    case "Map":
      return { Type: "Map", ItemProcessor: { ProcessorConfig: { Mode: "INLINE" }, ...inner("Each item") } };
    case "Choice":
      return { Type: "Choice", Choices: [] };
    case "Pass":
    case "Succeed":
      return { Type: b };
  }
}

export const terminal = (type: string) => type === "Succeed" || type === "Fail";

export type Where = { from?: string; to?: string; kind?: string };

export type Changed = { text: string; name: string };

// insert puts a new state where an edge is: between two states, before the first or after the last.
export function insert(text: string, block: Block, where: Where): Changed {
  const doc = JSON.parse(text) as Doc;
  const near = where.from ?? where.to;
  const place = near === undefined ? undefined : locate(text, near);
  const scope = place?.scope ?? [];
  const language = place?.language ?? (doc.QueryLanguage === "JSONata" ? "JSONata" : "JSONPath");
  const taken = names(text);
  const name = free(taken, label[block]);
  taken.push(name);
  const state = template(block, language === "JSONata", (base) => {
    const n = free(taken, base);
    taken.push(n);
    return n;
  });
  let next = where.to;
  const from = where.from === undefined ? undefined : locate(text, where.from);
  // Below a state that leads on already, what it led to comes after the new one.
  if (from && next === undefined && where.kind === undefined && typeof from.state.Next === "string") next = from.state.Next;
  if (state.Type === "Choice") {
    if (next !== undefined) {
      state.Choices = [language === "JSONata" ? { Condition: "{% true %}", Next: next } : { Variable: "$.value", IsPresent: true, Next: next }];
      state.Default = next;
    } else {
      const done = free(taken, "Done");
      text = add(text, scope, done, { Type: "Succeed" });
      state.Choices = [language === "JSONata" ? { Condition: "{% true %}", Next: done } : { Variable: "$.value", IsPresent: true, Next: done }];
      state.Default = done;
    }
  } else if (!terminal(state.Type)) {
    if (next !== undefined) state.Next = next;
    else state.End = true;
  }
  text = add(text, scope, name, state);
  if (!from) return { text: update(text, [...scope, "StartAt"], name), name };
  return { text: lead(text, from, where, name), name };
}

// add puts a state into a scope.
function add(text: string, scope: Path, name: string, state: Doc): string {
  if (!at(scan(text), [...scope, "States"])) text = set(text, [...scope, "States"], {});
  return set(text, [...scope, "States", name], state);
}

// lead makes the way out of a state that led to where.to lead to another.
function lead(text: string, from: Place, where: Where, name: string): string {
  const s = structuredClone(from.state);
  const rule = (s.Choices ?? []).find((c: Doc) => c.Next === where.to);
  const caught = (s.Catch ?? []).find((c: Doc) => c.Next === where.to);
  if (where.kind === "choice" && rule) rule.Next = name;
  else if (where.kind === "default") s.Default = name;
  else if (where.kind === "catch" && caught) caught.Next = name;
  else if (s.Type === "Choice") s.Default = name;
  else if (!terminal(s.Type)) {
    delete s.End;
    s.Next = name;
  }
  return update(text, from.path, s);
}

// drop takes a state out; what led to it leads to what came after it.
export function drop(text: string, name: string): string {
  const p = locate(text, name);
  if (!p) return text;
  const after: string | undefined = p.state.Next !== name ? (p.state.Next ?? p.state.Default) : undefined;
  const rest = p.siblings.filter((n) => n !== name);
  text = removeAt(text, p.path);
  for (const n of rest) {
    const q = locateIn(text, p.scope, n);
    const s = structuredClone(q) as Doc;
    if (s.Next === name) {
      if (after) s.Next = after;
      else {
        delete s.Next;
        s.End = true;
      }
    }
    if (s.Default === name) s.Default = after;
    for (const k of ["Choices", "Catch"])
      if (Array.isArray(s[k]) && s[k].some((c: Doc) => c.Next === name)) {
        s[k] = s[k].map((c: Doc) => (c.Next === name ? { ...c, Next: after } : c)).filter((c: Doc) => c.Next !== undefined);
        if (k === "Catch" && s[k].length === 0) delete s[k];
      }
    text = update(text, [...p.scope, "States", n], s);
  }
  const scope = value(text, p.scope) as Doc;
  if (scope.StartAt === name) text = update(text, [...p.scope, "StartAt"], after ?? rest[0] ?? "");
  return text;
}

const value = (text: string, path: Path): unknown => {
  const n = at(scan(text), path);
  return n && JSON.parse(text.slice(n.from, n.to));
};
const locateIn = (text: string, scope: Path, name: string) => value(text, [...scope, "States", name]);

// rename gives a state another name, and follows it in whatever leads there.
export function rename(text: string, name: string, to: string): string {
  const p = locate(text, name);
  if (!p || to === name || to === "" || names(text).includes(to)) return text;
  text = renameAt(text, p.path, to);
  for (const n of p.siblings.map((x) => (x === name ? to : x))) {
    const s = structuredClone(locateIn(text, p.scope, n)) as Doc;
    if (s.Next === name) s.Next = to;
    if (s.Default === name) s.Default = to;
    for (const k of ["Choices", "Catch"]) for (const c of Array.isArray(s[k]) ? s[k] : []) if (c.Next === name) c.Next = to;
    text = update(text, [...p.scope, "States", n], s);
  }
  if ((value(text, p.scope) as Doc).StartAt === name) text = update(text, [...p.scope, "StartAt"], to);
  return text;
}

// change makes a state what a form says.
export function change(text: string, name: string, state: Doc): string {
  const p = locate(text, name);
  return p ? update(text, p.path, state) : text;
}

// duplicate puts a copy of a state after it. States inside of the copy get names of their own.
export function duplicate(text: string, name: string): Changed {
  const p = locate(text, name);
  if (!p) return { text, name };
  const taken = names(text);
  const copy = free(taken, name);
  taken.push(copy);
  const fresh = (d: Doc): Doc => {
    const to = new Map(Object.keys(d?.States ?? {}).map((n) => {
      const f = free(taken, n);
      taken.push(f);
      return [n, f];
    }));
    const ref = (n: unknown) => to.get(String(n)) ?? n;
    const states = Object.entries<Doc>(d?.States ?? {}).map(([n, s]) => {
      const c = inside(structuredClone(s));
      if (c.Next) c.Next = ref(c.Next);
      if (c.Default) c.Default = ref(c.Default);
      for (const k of ["Choices", "Catch"]) for (const r of Array.isArray(c[k]) ? c[k] : []) if (r.Next) r.Next = ref(r.Next);
      return [to.get(n)!, c];
    });
    return { ...d, StartAt: ref(d?.StartAt), States: Object.fromEntries(states) };
  };
  const inside = (s: Doc): Doc => {
    if (Array.isArray(s.Branches)) s.Branches = s.Branches.map(fresh);
    for (const k of ["ItemProcessor", "Iterator"]) if (s[k]) s[k] = fresh(s[k]);
    return s;
  };
  text = add(text, p.scope, copy, inside(structuredClone(p.state)));
  if (!terminal(p.state.Type) && p.state.Type !== "Choice") text = lead(text, p, { from: name, to: p.state.Next }, copy);
  return { text, name: copy };
}
