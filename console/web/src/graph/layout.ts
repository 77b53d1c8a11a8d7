import { Graph, layout as dagreLayout } from "@dagrejs/dagre";
import type { GEdge, GNode, Scope } from "./model";

export type Pt = { x: number; y: number };
export type PlacedNode = { node: GNode; parent?: string; x: number; y: number; w: number; h: number };
export type PlacedEdge = { edge: GEdge; points: Pt[]; label?: Pt };
export type Placed = { nodes: PlacedNode[]; edges: PlacedEdge[]; w: number; h: number };
export type Dir = "TB" | "LR";

const PAD = 16;
const HEAD = 40;
const GAP = 24;

// Every scope (a States map) is laid out alone, innermost first; a Parallel or Map state is then
// one big node of the scope above it. Dagre's own compound mode is not used.
export function layoutDagre(scope: Scope, dir: Dir): Placed {
  const inner = new Map<string, { p: Placed; x: number; y: number }[]>();
  const size = new Map<string, { w: number; h: number }>();
  for (const n of scope.nodes) {
    if (!n.scopes.length) {
      size.set(n.id, { w: n.w, h: n.h });
      continue;
    }
    const ps = n.scopes.map((s) => layoutDagre(s, dir));
    const at: { p: Placed; x: number; y: number }[] = [];
    let w = 0;
    let h = 0;
    if (dir === "TB") {
      let x = PAD;
      for (const p of ps) {
        at.push({ p, x, y: HEAD });
        x += p.w + GAP;
        h = Math.max(h, p.h);
      }
      w = x - GAP + PAD;
      h = HEAD + h + PAD;
    } else {
      let y = HEAD;
      for (const p of ps) {
        at.push({ p, x: PAD, y });
        y += p.h + GAP;
        w = Math.max(w, p.w);
      }
      h = y - GAP + PAD;
      w = PAD + w + PAD;
    }
    inner.set(n.id, at);
    size.set(n.id, { w: Math.max(w, n.w), h });
  }

  const g = new Graph({ multigraph: true });
  g.setGraph({ rankdir: dir, nodesep: 24, ranksep: 40, edgesep: 16, marginx: 4, marginy: 4 });
  g.setDefaultEdgeLabel(() => ({}));
  for (const n of scope.nodes) {
    const s = size.get(n.id)!;
    g.setNode(n.id, { width: s.w, height: s.h });
  }
  for (const e of scope.edges) g.setEdge(e.source, e.target, e.label ? { width: Math.min(200, e.label.length * 6.4 + 12), height: 20, labelpos: "c" } : {}, e.id);
  dagreLayout(g as any);

  const nodes: PlacedNode[] = [];
  const edges: PlacedEdge[] = [];
  for (const n of scope.nodes) {
    const p = g.node(n.id) as any;
    const s = size.get(n.id)!;
    const x = p.x - s.w / 2;
    const y = p.y - s.h / 2;
    nodes.push({ node: n, x, y, w: s.w, h: s.h });
    for (const c of inner.get(n.id) ?? []) {
      for (const k of c.p.nodes) nodes.push(k.parent ? k : { ...k, parent: n.id, x: k.x + c.x, y: k.y + c.y });
      for (const e of c.p.edges) {
        const sh = (q: Pt) => ({ x: q.x + x + c.x, y: q.y + y + c.y });
        edges.push({ edge: e.edge, points: e.points.map(sh), label: e.label && sh(e.label) });
      }
    }
  }
  const box = new Map(scope.nodes.map((n) => [n.id, { ...(g.node(n.id) as any), ...size.get(n.id)! }]));
  for (const e of scope.edges) {
    const r = g.edge({ v: e.source, w: e.target, name: e.id }) as any;
    const a = box.get(e.source)!;
    const b = box.get(e.target)!;
    const mid: Pt[] = r.points.slice(1, -1);
    const fwd = dir === "TB" ? a.y < b.y : a.x < b.x;
    const port = (n: any, out: boolean): Pt => {
      const end = out === fwd;
      return dir === "TB" ? { x: n.x, y: end ? n.y + n.h / 2 : n.y - n.h / 2 } : { x: end ? n.x + n.w / 2 : n.x - n.w / 2, y: n.y };
    };
    edges.push({ edge: e, points: [port(a, true), ...mid, port(b, false)], label: e.label ? { x: r.x, y: r.y } : undefined });
  }
  const gr = g.graph() as any;
  return { nodes, edges, w: gr.width, h: gr.height };
}

// cubic segments whose tangents follow the flow direction (d3's "bump" curve)
export function bump(points: Pt[], dir: Dir): string {
  let d = `M${points[0]!.x},${points[0]!.y}`;
  for (let i = 1; i < points.length; i++) {
    const a = points[i - 1]!;
    const b = points[i]!;
    if (dir === "TB") {
      const m = (a.y + b.y) / 2;
      d += `C${a.x},${m} ${b.x},${m} ${b.x},${b.y}`;
    } else {
      const m = (a.x + b.x) / 2;
      d += `C${m},${a.y} ${m},${b.y} ${b.x},${b.y}`;
    }
  }
  return d;
}
