// The edges of a drawing as few paths: one for all that look alike, of what is in sight.
import { bump, rounded, type Dir, type Placed, type PlacedEdge, type Pt } from "./layout";
import { meets, type Box } from "./view";
import type { EdgeKind } from "./model";

// Lines are all that look alike; tips are the heads of their arrows.
export type Lines = { kind: EdgeKind; taken: boolean; d: string; tips: string };

// A piece is drawn whole or not at all. A lane is the long part of an edge beside the graph: those
// of one target lie on each other, and only what is in sight of them is drawn.
type Piece = { e: PlacedEdge; box: Box; points: Pt[]; end: boolean; d?: string };
type Lane = { e: PlacedEdge; at: number; from: number; till: number };
export type Pieces = { dir: Dir; pieces: Piece[]; lanes: Lane[] };

const arrow = 8; // as long and as wide
const turn = 12; // of a lane that goes with the piece that turns into it

const around = (points: Pt[]): Box => {
  const b = { x0: Infinity, y0: Infinity, x1: -Infinity, y1: -Infinity };
  for (const p of points) {
    b.x0 = Math.min(b.x0, p.x);
    b.y0 = Math.min(b.y0, p.y);
    b.x1 = Math.max(b.x1, p.x);
    b.y1 = Math.max(b.y1, p.y);
  }
  return b;
};

export function cut(p: Placed, dir: Dir): Pieces {
  const out: Pieces = { dir, pieces: [], lanes: [] };
  const add = (e: PlacedEdge, points: Pt[], end: boolean) => out.pieces.push({ e, points, end, box: around(points) });
  for (const e of p.edges) {
    if (!e.lane) {
      add(e, e.points, true);
      continue;
    }
    const [a, b] = [e.points[2]!, e.points[3]!]; // see layout: an edge in a lane has six points
    const k = Math.min(turn, Math.hypot(b.x - a.x, b.y - a.y) / 2) / (Math.hypot(b.x - a.x, b.y - a.y) || 1);
    const near = { x: a.x + (b.x - a.x) * k, y: a.y + (b.y - a.y) * k };
    const far = { x: b.x + (a.x - b.x) * k, y: b.y + (a.y - b.y) * k };
    add(e, [...e.points.slice(0, 3), near], false);
    add(e, [far, ...e.points.slice(3)], true);
    const [from, till] = dir === "TB" ? [near.y, far.y] : [near.x, far.x];
    out.lanes.push({ e, at: dir === "TB" ? a.x : a.y, from: Math.min(from, till), till: Math.max(from, till) });
  }
  return out;
}

const r = (n: number) => Math.round(n * 10) / 10;

// lines are the paths of what is in sight; what was taken is drawn over the rest.
export function lines({ dir, pieces, lanes }: Pieces, sight: Box, taken: (e: PlacedEdge) => boolean): Lines[] {
  const all = new Map<string, { kind: EdgeKind; taken: boolean; d: string[]; tips: string[] }>();
  const of = (e: PlacedEdge) => {
    const is = taken(e);
    const key = (is ? "1" : "0") + e.edge.kind;
    let l = all.get(key);
    if (!l) all.set(key, (l = { kind: e.edge.kind, taken: is, d: [], tips: [] }));
    return l;
  };
  for (const p of pieces) {
    if (!meets(p.box, sight)) continue;
    const l = of(p.e);
    l.d.push((p.d ??= p.e.lane ? rounded(p.points) : bump(p.points, dir)));
    const { x, y } = p.points.at(-1)!;
    if (p.end) l.tips.push(dir === "TB" ? `M${r(x - arrow / 2)},${r(y - arrow)}h${arrow}L${r(x)},${r(y)}z` : `M${r(x - arrow)},${r(y - arrow / 2)}v${arrow}L${r(x)},${r(y)}z`);
  }
  const [from, till] = dir === "TB" ? [sight.y0, sight.y1] : [sight.x0, sight.x1];
  const trunks = new Map<string, Lane>();
  for (const l of lanes) {
    if (l.till < from || l.from > till) continue;
    const key = `${taken(l.e)} ${l.e.edge.kind} ${l.at} ${l.e.edge.target}`;
    const t = trunks.get(key);
    trunks.set(key, t ? { ...t, from: Math.min(t.from, l.from), till: Math.max(t.till, l.till) } : l);
  }
  for (const t of trunks.values()) {
    const [a, b] = [Math.max(t.from, from), Math.min(t.till, till)];
    of(t.e).d.push(dir === "TB" ? `M${r(t.at)},${r(a)}V${r(b)}` : `M${r(a)},${r(t.at)}H${r(b)}`);
  }
  return [...all]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, l]) => ({ kind: l.kind, taken: l.taken, d: l.d.join(""), tips: l.tips.join("") }));
}
