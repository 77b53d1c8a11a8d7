// A graph as an SVG file of its own: what the page shows, without the page.
import type { Served } from "../model/inference";
import type { NodeType, Status } from "./model";
import { absolute, path, type Dir, type Placed } from "./layout";

export type Shown = { status?: Record<string, Status>; badge?: Record<string, string>; served?: Record<string, Served>; title: string };

const line: Record<Status | "none", [string, string]> = {
  succeeded: ["#00802f", "#effff1"],
  failed: ["#db0000", "#fff5f5"],
  running: ["#006ce0", "#f0fbff"],
  caught: ["#855900", "#fffef0"],
  aborted: ["#565b66", "#ffffff"],
  none: ["#c6c6cd", "#ffffff"],
};
const mark: Partial<Record<NodeType, string>> = { Task: "#c2410c", Choice: "#7c3aed", Parallel: "#0369a1", Map: "#0369a1", Succeed: "#00802f", Fail: "#b91c1c", Wait: "#92400e" };

const esc = (s: string) => s.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`).replace(/[^\t\n\r\x20-\ud7ff\ue000-\ufffd]/g, "�");
const cut = (s: string, n: number) => {
  const all = [...s];
  // East Asian characters are twice as wide
  let w = 0;
  const i = all.findIndex((c) => (w += c.codePointAt(0)! > 0x2e7f ? 2 : 1) > n);
  return i < 0 ? s : all.slice(0, Math.max(1, i - 1)).join("") + "…";
};

export function toSvg(p: Placed, dir: Dir, shown: Shown): string {
  const out: string[] = [];
  const [w, h] = [Math.ceil(p.w) + 16, Math.ceil(p.h) + 16];
  out.push(`<svg xmlns="http://www.w3.org/2000/svg" width="${w}" height="${h}" viewBox="-8 -8 ${w} ${h}" font-family="'Open Sans','Helvetica Neue',Arial,'Noto Sans CJK JP',sans-serif">`);
  out.push(`<title>${esc(shown.title)}</title><rect x="-8" y="-8" width="${w}" height="${h}" fill="#fbfbfb"/>`);
  out.push('<defs><marker id="a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0,0L8,4L0,8z" fill="#8c8c94"/></marker></defs>');
  for (const n of absolute(p).values()) {
    const g = n.node;
    const ends = g.type === "Start" || g.type === "End";
    const status = ends ? undefined : shown.status?.[g.name];
    const [stroke, fill] = line[status ?? "none"];
    const group = g.scopes.length > 0;
    out.push(`<rect x="${n.x}" y="${n.y}" width="${n.w}" height="${n.h}" rx="${ends ? 18 : 8}" fill="${group ? "#00000008" : fill}" stroke="${stroke}" stroke-width="1.5"${group || ends ? ' stroke-dasharray="4 3"' : ""}/>`);
    if (ends) {
      out.push(`<text x="${n.x + n.w / 2}" y="${n.y + n.h / 2 + 4}" font-size="12" font-weight="700" text-anchor="middle" fill="#0f141a">${esc(g.name)}</text>`);
      continue;
    }
    out.push(`<rect x="${n.x + 8}" y="${n.y + 8}" width="6" height="${group ? 22 : 34}" rx="3" fill="${mark[g.type] ?? "#565b66"}"/>`);
    const fit = Math.floor((n.w - 32) / 7);
    out.push(`<text x="${n.x + 22}" y="${n.y + 20}" font-size="11" fill="#565b66">${esc(cut(g.type === "Task" ? g.detail : g.type, fit))}</text>`);
    out.push(`<text x="${n.x + (group ? 22 + 58 : 22)}" y="${n.y + (group ? 21 : 39)}" font-size="13" font-weight="700" fill="#0f141a">${esc(cut(g.name, group ? fit - 8 : fit))}</text>`);
    const badge = shown.badge?.[g.name];
    if (badge) out.push(`<text x="${n.x + 22}" y="${n.y + 64}" font-size="11" fill="${shown.served?.[g.name]?.shares.length ? "#006ce0" : "#db0000"}">${esc(cut(badge, Math.floor((n.w - 26) / 6)))}</text>`);
  }
  for (const e of p.edges) {
    const bad = e.edge.kind === "catch";
    out.push(`<path d="${path(e, dir)}" fill="none" stroke="${bad ? "#db0000" : "#8c8c94"}" stroke-width="1.5"${bad ? ' stroke-dasharray="4 3"' : ""} marker-end="url(#a)"/>`);
  }
  for (const e of p.edges) {
    if (!e.label || !e.edge.label) continue;
    const text = cut(e.edge.label, 30);
    const half = text.length * 3.3 + 6;
    out.push(`<rect x="${e.label.x - half}" y="${e.label.y - 9}" width="${half * 2}" height="18" rx="4" fill="#ffffff" stroke="#c6c6cd"/>`);
    out.push(`<text x="${e.label.x}" y="${e.label.y + 4}" font-size="11" text-anchor="middle" fill="#565b66">${esc(text)}</text>`);
  }
  out.push("</svg>");
  return out.join("\n");
}
