// What of a drawing is seen: a view is where its origin is in the window, and how large it is drawn.
import type { Dir, Placed, PlacedNode, Pt } from "./layout";

export type View = { x: number; y: number; zoom: number };
export type Box = { x0: number; y0: number; x1: number; y1: number };
export type Size = { w: number; h: number };

const least = 0.15; // of what fits larger
const leastEver = 0.02;
const most = 2;
const legible = 0.42; // what does not fit at this size is not seen whole at first

export const meets = (a: Box, b: Box) => a.x0 <= b.x1 && b.x0 <= a.x1 && a.y0 <= b.y1 && b.y0 <= a.y1;
export const inside = (a: Box, b: Box) => a.x0 >= b.x0 && a.y0 >= b.y0 && a.x1 <= b.x1 && a.y1 <= b.y1;
export const boxOf = (n: PlacedNode): Box => ({ x0: n.x, y0: n.y, x1: n.x + n.w, y1: n.y + n.h });

// point is what of the drawing is at a place of the window.
export const point = (v: View, x: number, y: number): Pt => ({ x: (x - v.x) / v.zoom, y: (y - v.y) / v.zoom });

// seen is the part of the drawing that a window of a size shows, and as much around it as spare
// times its size.
export function seen(v: View, s: Size, spare = 0): Box {
  const a = point(v, -s.w * spare, -s.h * spare);
  const b = point(v, s.w * (1 + spare), s.h * (1 + spare));
  return { x0: a.x, y0: a.y, x1: b.x, y1: b.y };
}

const fits = (p: Size, s: Size) => Math.min(s.w / Math.max(p.w, 1), s.h / Math.max(p.h, 1));

// limits are how small and how large a drawing may be seen.
export const limits = (p: Size, s: Size): [number, number] => [Math.max(leastEver, Math.min(least, fits(p, s) * 0.94)), most];

// zoomed is a view by a factor larger, in which the same is at a place of the window.
export function zoomed(v: View, factor: number, x: number, y: number, [min, max]: [number, number]): View {
  const zoom = Math.max(min, Math.min(max, v.zoom * factor));
  const k = zoom / v.zoom;
  return { x: x - (x - v.x) * k, y: y - (y - v.y) * k, zoom };
}

// centred is the view with a point in its middle.
export const centred = (q: Pt, zoom: number, s: Size): View => ({ x: s.w / 2 - q.x * zoom, y: s.h / 2 - q.y * zoom, zoom });

// whole shows as much of a drawing as can be, from its middle.
export function whole(p: Size, s: Size): View {
  const [min, max] = limits(p, s);
  return centred({ x: p.w / 2, y: p.h / 2 }, Math.max(min, Math.min(max, fits(p, s) * 0.94)), s);
}

// home is the first view: the whole drawing if that stays legible, else where the workflow begins.
export function home(p: Placed, { w, h }: Size, dir: Dir): View {
  const zoom = Math.max(legible, Math.min(1, fits(p, { w, h })));
  const first = p.nodes.find((n) => n.node.type === "Start") ?? p.nodes[0];
  const gap = (have: number, need: number, at: number) => (need <= have ? (have - need) / 2 + 12 : Math.min(16, Math.max(have / 2 - at * zoom, have - need)));
  return { x: gap(w, p.w * zoom, (first?.x ?? 0) + (first?.w ?? 0) / 2), y: gap(h, p.h * zoom, dir === "TB" ? 0 : (first?.y ?? 0)), zoom };
}

// revealed is the view in which a state is seen, which may be this one: a tall one from its top.
export function revealed(v: View, n: PlacedNode, s: Size): View {
  const tall = Math.min(n.h, 60);
  const b = seen(v, s);
  if (n.x >= b.x0 && n.y >= b.y0 && n.x + Math.min(n.w, b.x1 - b.x0) <= b.x1 && n.y + tall <= b.y1) return v;
  return centred({ x: n.x + n.w / 2, y: n.y + Math.min(n.h, 200) / 2 }, v.zoom, s);
}
