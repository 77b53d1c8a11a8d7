// What can be said of one execution, or of two, beyond its visits: variables, iterations, what a
// redrive would run again, which model call belongs to which attempt, and how two runs differ.
import type { Frame, History, Iteration, Visit } from "./history";
import type { Record_ } from "./inference";

const isIteration = (f: Frame): f is Iteration => "map" in f;

// enclosing is the state that a frame is in: its Map or Parallel state.
const container = (f: Frame | undefined): Visit | undefined => (f === undefined ? undefined : isIteration(f) ? f.map : f);

export type Variables = Record<string, string>; // JSON texts

// variables are those that a visit could read when it began. They are assigned when a state is
// left, and seen by what comes after it and what is inside of that.
export function variables(v: Visit): Variables {
  const layers: Variables[] = [];
  const seen = new Set<Visit>();
  let at: Visit | undefined = v;
  while (at && !seen.has(at)) {
    seen.add(at);
    if (at.previous) {
      at = at.previous;
      if (at.assigned) layers.push(at.assigned);
    } else at = container(at.parent);
  }
  return Object.assign({}, ...layers.reverse()) as Variables;
}

export type Change = { name: string; before?: string; after?: string };

// changes are the variables before and after a visit, by name.
export function changes(v: Visit): Change[] {
  const before = variables(v);
  const after = { ...before, ...v.assigned };
  return Object.keys(after)
    .sort()
    .map((name) => ({ name, before: before[name], after: v.to ? after[name] : before[name] }));
}

// Picks say which iteration of each Map state is looked at, by the state's name.
export type Picks = Record<string, number>;

const iterationsOf = (v: Visit): Iteration[] => {
  const out: Iteration[] = [];
  for (let f: Frame | undefined = v; f; f = f.parent) if (isIteration(f)) out.push(f);
  return out;
};

// within leaves the visits that belong to the iterations looked at.
export const within = (visits: readonly Visit[], picks: Picks): Visit[] =>
  Object.keys(picks).length === 0 ? [...visits] : visits.filter((v) => iterationsOf(v).every((i) => picks[i.map.name] === undefined || picks[i.map.name] === i.index));

export type MapChoice = { name: string; iterations: Iteration[] };

const urgency: Record<string, number> = { failed: 0, aborted: 1, running: 2, caught: 3, succeeded: 4 };

// maps are the Map states that have iterations, those that failed first; of a Map inside of
// another only what is in the iteration looked at.
export function maps(h: History, picks: Picks): MapChoice[] {
  const by = new Map<string, Iteration[]>();
  for (const i of h.iterations) {
    const outer = iterationsOf(i.map);
    if (outer.some((o) => picks[o.map.name] !== undefined && picks[o.map.name] !== o.index)) continue;
    const had = by.get(i.map.name) ?? [];
    // of a Map that ran again, as after a redrive, the last counts
    const old = had.findIndex((x) => x.index === i.index && x.where === i.where);
    if (old >= 0) had[old] = i;
    else had.push(i);
    by.set(i.map.name, had);
  }
  return [...by].map(([name, all]) => ({ name, iterations: all.sort((a, b) => urgency[a.status]! - urgency[b.status]! || a.index - b.index || a.where.localeCompare(b.where)) }));
}

export type Again = { visit: Visit; inside: boolean };

// redriven is what a redrive would run again: the states that did not succeed. Of a Map or
// Parallel state only what failed in it; the rest of it is kept.
export function redriven(h: History): { again: Visit[]; kept: number } {
  const last = new Map<string, Visit>();
  for (const v of h.visits) last.set(v.name + "\n" + v.where, v);
  const open = [...last.values()].filter((v) => v.status === "failed" || v.status === "aborted");
  const holders = new Set(open.map((v) => container(v.parent)).filter((v) => v !== undefined));
  return { again: open.filter((v) => !holders.has(v)), kept: [...last.values()].filter((v) => v.status === "succeeded" || v.status === "caught").length };
}

// usage is how many tokens a Task's answer says it took.
function usage(output: string | undefined): [number, number] | undefined {
  if (!output || !/usage/i.test(output)) return undefined;
  try {
    const j = JSON.parse(output) as any;
    const u = j?.Body?.usage ?? j?.Usage;
    const [i, o] = [u?.input_tokens ?? u?.inputTokens ?? u?.InputTokens, u?.output_tokens ?? u?.outputTokens ?? u?.OutputTokens];
    return typeof i === "number" && typeof o === "number" ? [i, o] : undefined;
  } catch {
    return undefined;
  }
}

// calls says which visit each model call was made for. A record names the state and not the
// visit, but an attempt makes one call: its time and its tokens tell, where only one visit's
// attempts could have made it. Where several could, none is named.
export function calls(visits: readonly Visit[], records: readonly Record_[], slackMs = 50): Map<number, Record_[]> {
  type Slot = { v: Visit; from: number; to: number; usage?: [number, number]; failed: boolean };
  const by = new Map<string, Slot[]>();
  const asks = new Set(records.map((r) => r.state));
  for (const v of visits) {
    if (!asks.has(v.name)) continue;
    const slots = by.get(v.name) ?? [];
    for (const a of v.attempts) slots.push({ v, from: a.from.getTime() - slackMs, to: (a.to?.getTime() ?? Infinity) + slackMs, usage: usage(a.output), failed: a.error !== undefined });
    by.set(v.name, slots);
  }
  const could = new Map<Record_, Slot[]>();
  for (const r of records) {
    const t = r.time.getTime();
    const early = t % 1000 === 0 ? 1000 : 0; // CloudTrail's times are whole seconds
    could.set(
      r,
      (by.get(r.state ?? "") ?? []).filter(
        (s) => t + early >= s.from && t <= s.to && s.failed === (r.errorCode !== undefined) && (!s.usage || r.inputTokens === undefined || (s.usage[0] === r.inputTokens && s.usage[1] === r.outputTokens)),
      ),
    );
  }
  const out = new Map<number, Record_[]>();
  // What can be told takes an attempt from those that the others could belong to.
  for (let told = true; told; ) {
    told = false;
    for (const [r, slots] of could) {
      if (new Set(slots.map((s) => s.v)).size !== 1) continue;
      const slot = slots[0]!;
      out.set(slot.v.id, [...(out.get(slot.v.id) ?? []), r]);
      could.delete(r);
      for (const [other, rest] of could) could.set(other, rest.filter((s) => s !== slot));
      told = true;
    }
  }
  return out;
}

// hops is the way of one model call through Regions: "ap-northeast-1 ✕ → ap-northeast-3".
export const hops = (r: Record_): string =>
  r.attempts.length > 1 ? r.attempts.map((a) => (a.error ? `${a.region} ✕` : a.region)).join(" → ") : (r.served ?? "");

export type Pair = { key: string; name: string; where: string; a?: Visit; b?: Visit; differs: ("path" | "status" | "input" | "output" | "regions")[] };

// compare pairs the visits of two executions: the same state, in the same iteration, as often.
export function compare(a: History, b: History, regionsA: (v: Visit) => string = () => "", regionsB: (v: Visit) => string = () => ""): Pair[] {
  const keyed = (h: History) => {
    const n = new Map<string, number>();
    const out = new Map<string, Visit>();
    for (const v of h.visits) {
      const k = `${v.name}\n${v.where}`;
      n.set(k, (n.get(k) ?? 0) + 1);
      out.set(`${k}\n${n.get(k)}`, v);
    }
    return out;
  };
  const [of, other] = [keyed(a), keyed(b)];
  const pairs: Pair[] = [];
  for (const key of new Set([...of.keys(), ...other.keys()])) {
    const [x, y] = [of.get(key), other.get(key)];
    const v = (x ?? y)!;
    const differs: Pair["differs"] = [];
    if (!x || !y) differs.push("path");
    else {
      if (x.status !== y.status) differs.push("status");
      if (x.input !== y.input) differs.push("input");
      if (x.output !== y.output) differs.push("output");
      if (regionsA(x) !== regionsB(y)) differs.push("regions");
    }
    pairs.push({ key, name: v.name, where: v.where, a: x, b: y, differs });
  }
  return pairs;
}

export type Line = { kind: "same" | "less" | "more"; text: string };

const maxLines = 1500; // of which a difference is worked out

// diff is how one text becomes another, by lines; undefined of texts that are too long for it.
export function diff(a: string, b: string): Line[] | undefined {
  const [x, y] = [a.split("\n"), b.split("\n")];
  let from = 0;
  while (from < x.length && from < y.length && x[from] === y[from]) from++;
  let tail = 0;
  while (tail < x.length - from && tail < y.length - from && x[x.length - 1 - tail] === y[y.length - 1 - tail]) tail++;
  const p = x.slice(from, x.length - tail);
  const q = y.slice(from, y.length - tail);
  if (p.length > maxLines || q.length > maxLines) return undefined;
  const w = q.length + 1;
  const longest = new Uint16Array((p.length + 1) * w);
  for (let i = p.length - 1; i >= 0; i--) for (let j = q.length - 1; j >= 0; j--) longest[i * w + j] = p[i] === q[j] ? longest[(i + 1) * w + j + 1]! + 1 : Math.max(longest[(i + 1) * w + j]!, longest[i * w + j + 1]!);
  const out: Line[] = x.slice(0, from).map((text) => ({ kind: "same", text }));
  let i = 0;
  let j = 0;
  while (i < p.length || j < q.length) {
    if (i < p.length && j < q.length && p[i] === q[j]) {
      out.push({ kind: "same", text: p[i]! });
      i++;
      j++;
    } else if (i < p.length && (j >= q.length || longest[(i + 1) * w + j]! >= longest[i * w + j + 1]!)) out.push({ kind: "less", text: p[i++]! });
    else out.push({ kind: "more", text: q[j++]! });
  }
  for (const text of x.slice(x.length - tail)) out.push({ kind: "same", text });
  return out;
}
