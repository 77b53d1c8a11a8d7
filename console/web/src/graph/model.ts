// ASL definition -> nested graph (one Scope for each States map)
export type NodeType = "Task" | "Choice" | "Parallel" | "Map" | "Pass" | "Wait" | "Succeed" | "Fail" | "Start" | "End";
export type Status = "succeeded" | "failed" | "running" | "caught" | "aborted";
export type GNode = { id: string; name: string; type: NodeType; detail: string; scopes: Scope[]; w: number; h: number };
export type EdgeKind = "next" | "choice" | "default" | "catch";
export type GEdge = { id: string; source: string; target: string; kind: EdgeKind; label: string };
export type Scope = { id: string; first?: string; nodes: GNode[]; edges: GEdge[] }; // first: the state that is entered first

const NODE_W = 188;
const NODE_H = 52;

const cond = (c: any): string => {
  const s = String(c.Condition ?? "").replace(/^\{%\s*|\s*%\}$/g, "");
  if (s) return s.length > 30 ? s.slice(0, 29) + "…" : s;
  return c.Variable ? String(c.Variable) : "…";
};

function detail(s: any): string {
  if (s.Type === "Task") {
    const r = String(s.Resource ?? "");
    const m = r.match(/^arn:aws[^:]*:states:::(?:aws-sdk:)?(.+?)(?:\.(?:sync(?::2)?|waitForTaskToken))?$/);
    return m ? m[1]! : r;
  }
  return s.Type ?? "";
}

// Inner states of a machine that ask a model have room for a badge.
const BADGE_H = 24;
const BADGE_W = 72;
export const asksModel = (s: any) => /:states:::(aws-sdk:)?bedrock(runtime)?:/.test(String(s?.Resource ?? ""));

const size = (badge: boolean) => ({ w: NODE_W + (badge ? BADGE_W : 0), h: NODE_H + (badge ? BADGE_H : 0) });

export function toGraph(def: any, badges = false): Scope {
  return scope("", def, true, badges);
}

function scope(path: string, d: any, top: boolean, badges: boolean): Scope {
  const nodes: GNode[] = [];
  const edges: GEdge[] = [];
  const key = (n: string) => `${path}/${n}`;
  const edge = (a: string, b: string, kind: EdgeKind, label = "") => edges.push({ id: `${a}>${b}#${edges.length}`, source: a, target: b, kind, label });
  const states: Record<string, any> = d?.States ?? {};
  if (top) nodes.push({ id: `${path}#start`, name: "Start", type: "Start", detail: "", scopes: [], w: 72, h: 36 });
  let ends = false;
  for (const [name, s] of Object.entries(states)) {
    const id = key(name);
    const scopes: Scope[] = [];
    if (s?.Type === "Parallel") (s.Branches ?? []).forEach((b: any, i: number) => scopes.push(scope(`${id}/${i}`, b, false, badges)));
    if (s?.Type === "Map") scopes.push(scope(`${id}/i`, s.ItemProcessor ?? s.Iterator ?? {}, false, badges));
    nodes.push({ id, name, type: s?.Type, detail: detail(s ?? {}), scopes, ...size(badges && asksModel(s)) });
  }
  const has = (n: unknown): n is string => typeof n === "string" && n in states;
  if (top && has(d?.StartAt)) edge(`${path}#start`, key(d.StartAt), "next");
  for (const [name, s] of Object.entries(states)) {
    if (!s) continue;
    const id = key(name);
    if (has(s.Next)) edge(id, key(s.Next), "next");
    for (const c of s.Choices ?? []) if (has(c.Next)) edge(id, key(c.Next), "choice", cond(c));
    if (has(s.Default)) edge(id, key(s.Default), "default", "Default");
    for (const c of s.Catch ?? []) if (has(c.Next)) edge(id, key(c.Next), "catch", (c.ErrorEquals ?? []).join(", "));
    if (top && (s.End === true || s.Type === "Succeed" || s.Type === "Fail")) {
      ends = true;
      edge(id, `${path}#end`, "next");
    }
  }
  if (top && ends) nodes.push({ id: `${path}#end`, name: "End", type: "End", detail: "", scopes: [], w: 72, h: 36 });
  return { id: path, first: has(d?.StartAt) ? key(d.StartAt) : undefined, nodes, edges };
}
