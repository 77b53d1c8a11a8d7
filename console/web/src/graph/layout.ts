// Where the states of a definition are drawn. Layers from the edges, order in them by barycentres,
// places by least squares; made for workflows: a thousand states take tens of milliseconds, and an
// edge that goes back, or past many layers, runs in a lane beside the graph instead of through it.
import type { GEdge, GNode, Scope } from "./model";

export type Pt = { x: number; y: number };
export type PlacedNode = { node: GNode; parent?: string; x: number; y: number; w: number; h: number };
export type PlacedEdge = { edge: GEdge; points: Pt[]; label?: Pt; lane?: boolean };
export type Placed = { nodes: PlacedNode[]; edges: PlacedEdge[]; w: number; h: number };
export type Dir = "TB" | "LR";

const PAD = 16;
const HEAD = 40;
const GAP = 24; // between scopes, and between the states of a layer
const LAYER = 34; // between layers
const LANE = 14; // between lanes
const MARGIN = 4;
const longest = 8; // layers that an edge may pass; a longer one gets a lane
const sweeps = 8;

// Inside, a layout has layers one below the other: "across" is x and "along" is y of TB, and the
// other way round of LR.
type Item = { id: string; node?: GNode; edge?: GEdge; label?: boolean; layer: number; size: number; depth: number; at: number; up: Item[]; down: Item[] };

export const labelWidth = (text: string) => Math.min(200, text.length * 6.4 + 14);

export function layout(scope: Scope, dir: Dir): Placed {
  const tb = dir === "TB";
  const inner = new Map<string, { p: Placed; x: number; y: number }[]>();
  const size = new Map<string, { w: number; h: number }>();
  for (const n of scope.nodes) {
    if (!n.scopes.length) {
      size.set(n.id, { w: n.w, h: n.h });
      continue;
    }
    const at: { p: Placed; x: number; y: number }[] = [];
    let x = PAD;
    let y = HEAD;
    let w = 0;
    let h = 0;
    for (const p of n.scopes.map((s) => layout(s, dir))) {
      at.push({ p, x, y });
      if (tb) x += p.w + GAP;
      else y += p.h + GAP;
      w = Math.max(w, p.w);
      h = Math.max(h, p.h);
    }
    inner.set(n.id, at);
    size.set(n.id, tb ? { w: Math.max(x - GAP + PAD, n.w), h: HEAD + h + PAD } : { w: Math.max(PAD + w + PAD, n.w), h: y - GAP + PAD });
  }

  const items = new Map<string, Item>();
  for (const n of scope.nodes) {
    const s = size.get(n.id)!;
    items.set(n.id, { id: n.id, node: n, layer: 0, size: tb ? s.w : s.h, depth: tb ? s.h : s.w, at: 0, up: [], down: [] });
  }
  const edges = scope.edges.filter((e) => items.has(e.source) && items.has(e.target));
  const { order, back } = traverse(scope, edges);
  // Longest path: a state is below all that lead to it; a label takes a layer of its own.
  const outs = new Map<string, GEdge[]>();
  for (const e of edges) if (!back.has(e)) outs.set(e.source, [...(outs.get(e.source) ?? []), e]);
  for (const id of order) for (const e of outs.get(id) ?? []) items.get(e.target)!.layer = Math.max(items.get(e.target)!.layer, items.get(id)!.layer + (e.label ? 2 : 1));

  const layers: Item[][] = [];
  const put = (i: Item) => (layers[i.layer] ??= []).push(i);
  for (const id of order) put(items.get(id)!);
  const chains = new Map<GEdge, Item[]>(); // what stands for an edge between its ends
  const lanes: GEdge[] = [];
  for (const e of edges) {
    const a = items.get(e.source)!;
    const b = items.get(e.target)!;
    if (back.has(e) || a === b || b.layer - a.layer > longest) {
      lanes.push(e);
      continue;
    }
    const chain: Item[] = [];
    let above = a;
    for (let l = a.layer + 1; l < b.layer; l++) {
      const label = e.label !== "" && l === a.layer + 1;
      const w = label ? labelWidth(e.label) : 0;
      const d: Item = { id: `${e.id}@${l}`, edge: e, label, layer: l, size: label && !tb ? 20 : w, depth: label ? (tb ? 20 : w) : 0, at: 0, up: [], down: [] };
      chain.push(d);
      put(d);
      above.down.push(d);
      d.up.push(above);
      above = d;
    }
    above.down.push(b);
    b.up.push(above);
    chains.set(e, chain);
  }
  for (let l = 0; l < layers.length; l++) layers[l] ??= [];
  arrange(layers);
  place(layers);

  let from = Infinity;
  let till = -Infinity;
  for (const i of layers.flat()) {
    from = Math.min(from, i.at - i.size / 2);
    till = Math.max(till, i.at + i.size / 2);
  }
  if (from > till) from = till = 0;
  const tops: number[] = [];
  const depths: number[] = [];
  let along = MARGIN;
  layers.forEach((l, n) => {
    tops.push(along);
    depths.push(Math.max(0, ...l.map((i) => i.depth)));
    const thin = l.every((i) => !i.node) || layers[n + 1]?.every((i) => !i.node);
    along += depths[n]! + (thin ? LAYER / 2 : LAYER);
  });
  const laned = allot(lanes, items, back);
  const left = laned.filter((r) => r.back).reduce((n, r) => Math.max(n, r.lane + 1), 0) * LANE;
  const right = laned.filter((r) => !r.back).reduce((n, r) => Math.max(n, r.lane + 1), 0) * LANE;
  // A lane that leaves the first or reaches the last layer turns outside of them.
  const above = laned.some((r) => items.get(r.edge.target)!.layer === 0) ? LAYER / 2 : 0;
  const below = laned.some((r) => items.get(r.edge.source)!.layer === layers.length - 1) ? LAYER : LAYER / 2;
  const shift = MARGIN + left - from;
  const pt = (across: number, al: number): Pt => (tb ? { x: across + shift, y: al + above } : { x: al + above, y: across + shift });
  const mid = (i: Item) => tops[i.layer]! + depths[i.layer]! / 2;
  const out = (i: Item) => mid(i) + i.depth / 2;
  const into = (i: Item) => mid(i) - i.depth / 2;

  const nodes: PlacedNode[] = [];
  const drawn: PlacedEdge[] = [];
  for (const n of scope.nodes) {
    const i = items.get(n.id)!;
    const s = size.get(n.id)!;
    const c = pt(i.at, mid(i));
    const x = c.x - s.w / 2;
    const y = c.y - s.h / 2;
    nodes.push({ node: n, x, y, w: s.w, h: s.h });
    for (const k of inner.get(n.id) ?? []) {
      // Branches stand in the middle of a state that is wider than they are.
      const all = inner.get(n.id)!;
      const last = all.at(-1)!;
      const spare = tb ? Math.max(0, (s.w - (last.x + last.p.w + PAD)) / 2) : 0;
      for (const q of k.p.nodes) nodes.push(q.parent ? q : { ...q, parent: n.id, x: q.x + k.x + spare, y: q.y + k.y });
      for (const e of k.p.edges) {
        const sh = (q: Pt) => ({ x: q.x + x + k.x + spare, y: q.y + y + k.y });
        drawn.push({ ...e, points: e.points.map(sh), label: e.label && sh(e.label) });
      }
    }
  }
  // An edge is straight where it passes a layer, and turns between them: it meets no state.
  for (const [e, chain] of chains) {
    const a = items.get(e.source)!;
    const b = items.get(e.target)!;
    const label = chain.find((c) => c.label);
    drawn.push({ edge: e, points: [pt(a.at, out(a)), ...chain.flatMap((c) => [pt(c.at, tops[c.layer]!), pt(c.at, tops[c.layer]! + depths[c.layer]!)]), pt(b.at, into(b))], label: label && pt(label.at, mid(label)) });
  }
  for (const r of laned) {
    const a = items.get(r.edge.source)!;
    const b = items.get(r.edge.target)!;
    const lane = r.back ? from - LANE * (r.lane + 1) + 2 : till + LANE * (r.lane + 1) - 2;
    const leave = tops[a.layer]! + depths[a.layer]! + 9;
    const arrive = tops[b.layer]! - 11;
    // beside the middle, so that it does not hide the edge that goes straight on
    const aside = r.back ? -10 : 10;
    drawn.push({
      edge: r.edge,
      lane: true,
      points: [pt(a.at + aside, out(a)), pt(a.at + aside, leave), pt(lane, leave), pt(lane, arrive), pt(b.at + aside, arrive), pt(b.at + aside, into(b))],
      label: r.edge.label ? pt(a.at + aside, leave + 4) : undefined,
    });
  }
  const across = till - from + left + right + 2 * MARGIN;
  const length = along + above - LAYER / 2 + below - LAYER / 2 + MARGIN;
  return tb ? { nodes, edges: drawn, w: across, h: length } : { nodes, edges: drawn, w: length, h: across };
}

// traverse goes through a scope from its start: order has every state after those that lead to
// it, and back are the edges that close a circle. It keeps its own stack: definitions are deep.
function traverse(scope: Scope, edges: GEdge[]) {
  const outs = new Map<string, GEdge[]>();
  const entered = new Set<string>();
  for (const e of edges) {
    outs.set(e.source, [...(outs.get(e.source) ?? []), e]);
    if (e.source !== e.target) entered.add(e.target);
  }
  const back = new Set<GEdge>();
  const state = new Map<string, 1 | 2>(); // open, done
  const done: string[] = [];
  const roots = [...scope.nodes.filter((n) => n.id === scope.first || n.type === "Start"), ...scope.nodes.filter((n) => !entered.has(n.id)), ...scope.nodes];
  for (const root of roots) {
    if (state.has(root.id)) continue;
    const stack: { id: string; next: number }[] = [{ id: root.id, next: 0 }];
    state.set(root.id, 1);
    while (stack.length) {
      const top = stack.at(-1)!;
      const all = outs.get(top.id) ?? [];
      // from the last, so that the first way out comes first in the order
      const e = all[all.length - 1 - top.next++];
      if (!e) {
        state.set(top.id, 2);
        done.push(top.id);
        stack.pop();
      } else if (state.get(e.target) === 1) back.add(e);
      else if (!state.has(e.target)) {
        state.set(e.target, 1);
        stack.push({ id: e.target, next: 0 });
      }
    }
  }
  return { order: done.reverse(), back };
}

const none: Item[] = [];
const sum = (of: Item[]) => {
  let s = 0;
  for (const i of of) s += i.at;
  return s;
};
const mean = (of: Item[]) => sum(of) / of.length;

// arrange orders the layers: each by where its neighbours are, down and up; the order with the
// fewest crossings is kept.
function arrange(layers: Item[][]) {
  const number = (l: Item[]) => l.forEach((i, n) => (i.at = n));
  layers.forEach(number);
  let best = layers.map((l) => [...l]);
  let fewest = crossings(layers);
  for (let s = 0; s < sweeps && fewest > 0; s++) {
    const down = s % 2 === 0;
    for (let n = 1; n < layers.length; n++) {
      const l = layers[down ? n : layers.length - 1 - n]!;
      const wish = new Map(l.map((i) => [i, (down ? i.up : i.down).length ? mean(down ? i.up : i.down) : i.at]));
      l.sort((a, b) => wish.get(a)! - wish.get(b)!);
      number(l);
    }
    const c = crossings(layers);
    if (c < fewest) {
      fewest = c;
      best = layers.map((l) => [...l]);
    }
  }
  best.forEach((l, n) => {
    layers[n] = l;
    number(l);
  });
}

function crossings(layers: Item[][]): number {
  let n = 0;
  for (const l of layers) {
    if (l.length < 2) continue;
    const to = l.flatMap((i) => i.down.map((d) => d.at).sort((a, b) => a - b));
    for (let i = 1; i < to.length; i++) for (let j = 0; j < i; j++) if (to[j]! > to[i]!) n++;
  }
  return n;
}

// place gives every item the place that its neighbours want, as near as the order allows.
function place(layers: Item[][]) {
  for (const l of layers) {
    let x = 0;
    for (const i of l) {
      i.at = x + i.size / 2;
      x += i.size + GAP;
    }
    for (const i of l) i.at -= x / 2;
  }
  for (let s = 0; s < sweeps * 2; s++) {
    const down = s % 2 === 0;
    const last = s >= sweeps * 2 - 2;
    for (let n = 0; n < layers.length; n++) {
      const l = layers[down ? n : layers.length - 1 - n]!;
      settle(l, (i) => {
        const near = down ? i.up : i.down;
        const far = last ? (down ? i.down : i.up) : none;
        const of = near.length + far.length;
        return of > 0 ? (sum(near) + sum(far)) / of : i.at;
      });
    }
  }
}

// settle moves a layer's items to where they wish, in order and apart: least squares under these
// constraints, by pooling neighbours that would overlap.
function settle(l: Item[], wish: (i: Item) => number) {
  if (l.length === 1) {
    l[0]!.at = wish(l[0]!);
    return;
  }
  type Block = { from: number; till: number; at: number; weight: number; width: number }; // items of l
  const blocks: Block[] = [];
  const apart = (a: Item, b: Item) => (a.size + b.size) / 2 + (a.node || b.node ? GAP : GAP / 2);
  for (let n = 0; n < l.length; n++) {
    const i = l[n]!;
    // long edges should be straight
    const b: Block = { from: n, till: n, at: wish(i), weight: i.node ? 1 : 2, width: 0 };
    for (let p = blocks.at(-1); p; p = blocks.at(-1)) {
      const moved = p.width + apart(l[p.till]!, l[b.from]!);
      if (p.at + moved <= b.at) break;
      blocks.pop();
      const weight = p.weight + b.weight;
      b.at = (p.at * p.weight + (b.at - moved) * b.weight) / weight;
      b.from = p.from;
      b.weight = weight;
      b.width += moved;
    }
    blocks.push(b);
  }
  for (const b of blocks) {
    let at = b.at;
    for (let n = b.from; n <= b.till; n++) {
      if (n > b.from) at += apart(l[n - 1]!, l[n]!);
      l[n]!.at = at;
    }
  }
}

// allot gives edges beside the graph their lanes: those to one state share one, others only where
// they do not meet.
function allot(lanes: GEdge[], items: Map<string, Item>, back: Set<GEdge>) {
  const groups = new Map<string, { from: number; till: number; edges: GEdge[]; back: boolean }>();
  for (const e of lanes) {
    const a = items.get(e.source)!.layer;
    const b = items.get(e.target)!.layer;
    const isBack = back.has(e) || e.source === e.target;
    const k = `${isBack} ${e.kind} ${e.target}`;
    const g = groups.get(k) ?? { from: Infinity, till: -Infinity, edges: [], back: isBack };
    g.from = Math.min(g.from, a, b);
    g.till = Math.max(g.till, a, b);
    g.edges.push(e);
    groups.set(k, g);
  }
  const free: Record<string, number[]> = { true: [], false: [] }; // until which layer a lane is taken
  const out: { edge: GEdge; lane: number; back: boolean }[] = [];
  for (const g of [...groups.values()].sort((a, b) => a.from - b.from)) {
    const taken = free[String(g.back)]!;
    let lane = taken.findIndex((t) => t < g.from);
    if (lane < 0) lane = taken.length;
    taken[lane] = g.till;
    for (const edge of g.edges) out.push({ edge, lane, back: g.back });
  }
  return out;
}

// bump is a line of cubic segments whose tangents follow the flow; rounded is one with corners,
// of an edge in a lane.
export function bump(points: Pt[], dir: Dir): string {
  let d = `M${r(points[0]!.x)},${r(points[0]!.y)}`;
  for (let i = 1; i < points.length; i++) {
    const a = points[i - 1]!;
    const b = points[i]!;
    if (dir === "TB") {
      const m = (a.y + b.y) / 2;
      d += `C${r(a.x)},${r(m)} ${r(b.x)},${r(m)} ${r(b.x)},${r(b.y)}`;
    } else {
      const m = (a.x + b.x) / 2;
      d += `C${r(m)},${r(a.y)} ${r(m)},${r(b.y)} ${r(b.x)},${r(b.y)}`;
    }
  }
  return d;
}

export function rounded(points: Pt[], radius = 6): string {
  let d = `M${r(points[0]!.x)},${r(points[0]!.y)}`;
  for (let i = 1; i < points.length - 1; i++) {
    const [a, b, c] = [points[i - 1]!, points[i]!, points[i + 1]!];
    const cut = (p: Pt) => {
      const len = Math.hypot(p.x - b.x, p.y - b.y) || 1;
      const k = Math.min(radius, len / 2) / len;
      return { x: b.x + (p.x - b.x) * k, y: b.y + (p.y - b.y) * k };
    };
    const p = cut(a);
    const q = cut(c);
    d += `L${r(p.x)},${r(p.y)}Q${r(b.x)},${r(b.y)} ${r(q.x)},${r(q.y)}`;
  }
  return d + `L${r(points.at(-1)!.x)},${r(points.at(-1)!.y)}`;
}

export const path = (e: PlacedEdge, dir: Dir) => (e.lane ? rounded(e.points) : bump(e.points, dir));

const r = (n: number) => Math.round(n * 10) / 10;

// absolute is where every node is in the whole drawing.
export function absolute(p: Placed): Map<string, PlacedNode> {
  const out = new Map<string, PlacedNode>();
  for (const n of p.nodes) {
    const up = n.parent ? out.get(n.parent) : undefined; // a parent comes before what is in it
    out.set(n.node.id, up ? { ...n, x: n.x + up.x, y: n.y + up.y } : n);
  }
  return out;
}

export type Arrow = "ArrowUp" | "ArrowDown" | "ArrowLeft" | "ArrowRight";

// neighbour is the state to which an arrow key leads: along the flow by the edges, otherwise, and
// where there is none, by place.
export function neighbour(p: Placed, places: Map<string, PlacedNode>, id: string, key: Arrow, dir: Dir): string | undefined {
  const on = dir === "TB" ? "ArrowDown" : "ArrowRight";
  const off = dir === "TB" ? "ArrowUp" : "ArrowLeft";
  const can = (n: string | undefined) => (n && !/#(start|end)$/.test(n) ? n : undefined);
  if (key === on || key === off) {
    const e = p.edges.find((x) => (key === on ? x.edge.source : x.edge.target) === id && can(key === on ? x.edge.target : x.edge.source) && x.edge.source !== x.edge.target);
    if (e) return key === on ? e.edge.target : e.edge.source;
  }
  const dx = key === "ArrowRight" ? 1 : key === "ArrowLeft" ? -1 : 0;
  const dy = key === "ArrowDown" ? 1 : key === "ArrowUp" ? -1 : 0;
  const c = (n: PlacedNode) => ({ x: n.x + n.w / 2, y: n.y + (n.node.scopes.length ? 18 : n.h / 2) });
  const me = places.get(id);
  if (!me) return undefined;
  const o = c(me);
  let best: string | undefined;
  let least = Infinity;
  for (const [other, n] of places) {
    if (other === id || !can(other)) continue;
    if (key !== on && key !== off && id.startsWith(other + "/")) continue; // the state that this one is in is not beside it
    const q = c(n);
    const ahead = (q.x - o.x) * dx + (q.y - o.y) * dy;
    const aside = Math.abs((q.x - o.x) * dy + (q.y - o.y) * dx);
    if (ahead <= 4) continue;
    if (ahead + aside * 2 < least) [least, best] = [ahead + aside * 2, other];
  }
  return best;
}
