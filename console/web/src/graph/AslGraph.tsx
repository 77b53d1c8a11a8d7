import { memo, useEffect, useLayoutEffect, useMemo, useRef, useState, type DragEvent, type KeyboardEvent, type MouseEvent } from "react";
import "./graph.css";
import Icon, { type IconProps } from "@cloudscape-design/components/icon";
import Button from "@cloudscape-design/components/button";
import { toGraph, type GNode, type NodeType, type Status } from "./model";
import { absolute, layout, neighbour, type Arrow, type Dir, type Placed, type PlacedEdge, type PlacedNode } from "./layout";
import { cut, lines } from "./lines";
import { boxOf, home, meets, revealed, seen as seenNow, whole } from "./view";
import { useSurface } from "./surface";
import type { Served } from "../model/inference";
import { useI18n, type Key, type T } from "../i18n";

export const statusKey: Record<Status, Key> = { succeeded: "stSucceeded", failed: "stFailed", running: "stRunning", caught: "stCaught", aborted: "stAborted" };
const glyph: Record<NodeType, string> = { Task: "λ", Choice: "?", Parallel: "∥", Map: "↻", Pass: "→", Wait: "◷", Succeed: "✓", Fail: "✕", Start: "", End: "" };
const marks: Record<Status, IconProps> = {
  succeeded: { name: "status-positive", variant: "success" },
  failed: { name: "status-negative", variant: "error" },
  caught: { name: "status-warning", variant: "warning" },
  running: { name: "status-in-progress" },
  aborted: { name: "status-stopped", variant: "subtle" },
};
const isEnd = (g: GNode) => g.type === "Start" || g.type === "End";
const mostDrawn = 400; // states at once; more are too small to read, and are boxes only

type StateProps = { id: string; g: GNode; x: number; y: number; w: number; h: number; status?: Status; reached: boolean; times?: number; badge?: string; bad: boolean; selected: boolean; lead: boolean };

// State is drawn again only when something of it changed.
const State = memo(function State({ id, g, x, y, w, h, status, reached, times, badge, bad, selected, lead }: StateProps) {
  const { t } = useI18n();
  const cls = `asl-node asl-${g.type} ${status ? "st-" + status : ""} ${reached ? "" : "st-notReached"} ${selected ? "sel" : ""}`;
  const style = { left: x, top: y, width: w, height: h };
  if (isEnd(g))
    return (
      <div className="asl-state" style={style}>
        <div className={cls}>{g.name}</div>
      </div>
    );
  return (
    <div
      className={`asl-state can ${g.scopes.length ? "holds" : ""}`}
      style={style}
      data-id={id}
      tabIndex={lead ? 0 : -1}
      role="group" // a button cannot hold others, as a Map holds its states
      aria-current={selected || undefined}
      aria-label={`${g.name}, ${g.type}${g.type === "Task" ? " " + g.detail : ""}${status ? ", " + t(statusKey[status]) : ""}${badge ? ", " + badge : ""}`}
    >
      <div className={cls}>
        <div className="asl-head">
          <span className={`asl-glyph g-${g.type}`} aria-hidden="true">{/^bedrock/.test(g.detail) ? "✦" : glyph[g.type]}</span>
          <span className="asl-text">
            <span className="asl-detail">{g.type === "Task" ? g.detail : g.type}</span>
            <span className="asl-name" title={g.name}>{g.name}</span>
          </span>
          {times !== undefined && times > 1 && <span className="asl-times">×{times}</span>}
          {status && (
            <span className="asl-mark">
              <Icon {...marks[status]} />
            </span>
          )}
        </div>
        {badge !== undefined && (
          <div className={`asl-badge ${bad ? "bad" : ""}`} title={badge}>
            {badge}
          </div>
        )}
      </div>
    </div>
  );
});

export type GraphProps = {
  definition: string;
  statuses?: Record<string, Status>; // of an execution; undefined: the graph is of a definition
  counts?: Record<string, number>;
  served?: Record<string, Served>;
  selected?: string;
  onSelect?: (name: string) => void;
  dir?: Dir;
  height?: number;
  onDelete?: (name: string) => void; // of a definition that can be changed
  onDrop?: (what: string, at: Drop) => void;
};

// Drop is where something dragged here would go: into an edge, or into an empty definition.
export type Drop = { from?: string; to?: string; kind?: string; x: number; y: number; w: number };

// nearest is the edge that a point is close to.
function nearest(p: Placed, places: Map<string, PlacedNode>, x: number, y: number): Drop | undefined {
  let best: Drop | undefined;
  let least = 60;
  const name = (id: string) => (/#(start|end)$/.test(id) ? undefined : places.get(id)?.node.name);
  for (const e of p.edges) {
    for (let i = 1; i < e.points.length; i++) {
      const [a, b] = [e.points[i - 1]!, e.points[i]!];
      const len = (b.x - a.x) ** 2 + (b.y - a.y) ** 2 || 1;
      const k = Math.max(0, Math.min(1, ((x - a.x) * (b.x - a.x) + (y - a.y) * (b.y - a.y)) / len));
      const q = { x: a.x + k * (b.x - a.x), y: a.y + k * (b.y - a.y) };
      const d = Math.hypot(x - q.x, y - q.y);
      if (d < least) [least, best] = [d, { from: name(e.edge.source), to: name(e.edge.target), kind: e.edge.kind, x: q.x - 70, y: q.y - 2, w: 140 }];
    }
  }
  // below a state that leads nowhere yet, and inside a state that is empty
  for (const n of places.values()) {
    if (/#/.test(n.node.id.slice(-6)) && n.node.type === "Start") continue;
    const inside = x > n.x && x < n.x + n.w && y > n.y && y < n.y + n.h + 40;
    if (inside && !best && n.node.type !== "Start" && n.node.type !== "End") best = { from: n.node.name, x: n.x, y: n.y + n.h + 6, w: n.w };
  }
  return best ?? (p.nodes.length <= 1 ? { x: 0, y: 40, w: 140 } : undefined);
}

// badgeText is where a state's calls were answered, and with how many tokens.
export function badgeText(s: Served, t: T): string {
  const parts = s.shares.map((r) => (s.shares.length > 1 || r.calls > 1 ? `${r.region} ×${r.calls}` : r.region));
  if (s.input + s.output > 0) parts.push(t("tokensShort", { n: s.input + s.output }));
  if (s.denied) parts.push(t("deniedN", { n: s.denied }));
  if (s.failed) parts.push(t("failedN", { n: s.failed }));
  return parts.join(" · ");
}

const nothing: Placed = { nodes: [], edges: [], w: 0, h: 0 };

// usePlaced is where a definition's states are. The last good drawing stays while the text does
// not parse, and while it changes in what is not drawn.
function usePlaced(definition: string, dir: Dir, live: boolean): Placed {
  const good = useRef({ of: "", placed: nothing });
  return useMemo(() => {
    try {
      const g = toGraph(JSON.parse(definition), live);
      const of = dir + JSON.stringify(g);
      if (of !== good.current.of) good.current = { of, placed: layout(g, dir) };
    } catch {
      // see above
    }
    return good.current.placed;
  }, [definition, dir, live]);
}

export default function AslGraph({ definition, statuses, counts, served, selected, onSelect, dir = "TB", height = 620, onDelete, onDrop }: GraphProps) {
  const { t } = useI18n();
  const box = useRef<HTMLDivElement>(null);
  const frame = useRef<HTMLDivElement>(null);
  const world = useRef<HTMLDivElement>(null);
  const [target, setTarget] = useState<Drop>();
  const [held, hold] = useState<string>(); // what has the focus stays though it is out of sight
  const live = statuses !== undefined;
  const placed = usePlaced(definition, dir, live);
  const places = useMemo(() => absolute(placed), [placed]);
  const pieces = useMemo(() => cut(placed, dir), [placed, dir]);

  // The first view is home, and again when the window changes, until the user moves it.
  const goHome = () => {
    const { w, h } = s.size();
    if (w > 0) s.home(home(placed, { w: w - 56, h: h - (live ? 68 : 24) }, dir)); // beside the controls, above the legend
  };
  const s = useSurface(frame, world, placed, () => !s.touched() && goHome());
  useLayoutEffect(goHome, [dir]);
  useLayoutEffect(() => {
    if (!s.touched() || !meets(seenNow(s.view(), s.size()), { x0: 0, y0: 0, x1: placed.w, y1: placed.h })) goHome();
  }, [placed]);

  const { sight } = s;
  const seen = useMemo(() => (sight ? [...places.values()].filter((n) => n.node.id === held || meets(boxOf(n), sight)) : []), [places, sight, held]);
  const far = seen.length > mostDrawn;
  // One state is reached with Tab, and arrow keys lead from it to the others: the one that had the
  // focus last, the chosen one, or the first that is in sight.
  const last = useRef<string>(undefined);
  if (held !== undefined) last.current = held;
  const can = (is: (n: PlacedNode) => boolean) => seen.find((n) => !isEnd(n.node) && is(n))?.node.id;
  const lead = can((n) => n.node.id === last.current) ?? can((n) => n.node.name === selected) ?? can(() => true);
  const statusOf = (g: GNode) => (isEnd(g) ? undefined : statuses?.[g.name]);
  const boxes = useMemo(() => {
    const all = new Map<string, string>();
    for (const { node: g, x, y, w, h } of far ? seen : []) {
      const cls = `asl-far g-${g.type} ${g.scopes.length ? "holds" : ""} ${statusOf(g) ? "st-" + statusOf(g) : ""} ${g.name === selected ? "sel" : ""}`;
      all.set(cls, (all.get(cls) ?? "") + `M${x},${y}h${w}v${h}h${-w}z`);
    }
    return [...all];
  }, [far, seen, statuses, selected]);
  const drawn = useMemo(() => {
    if (!sight) return [];
    // An edge was taken if its state was left in that way and the next one was reached.
    const taken = (e: PlacedEdge) => {
      if (!statuses) return false;
      const a = e.edge.source.split("/").pop()!;
      const b = e.edge.target.split("/").pop()!;
      const left = a === "#start" ? "succeeded" : statuses[a];
      return (b === "#end" || statuses[b] !== undefined) && (e.edge.kind === "catch" ? left === "caught" : left === "succeeded");
    };
    return lines(pieces, sight, taken);
  }, [pieces, sight, statuses]);
  const labels = useMemo(() => (sight && !far ? placed.edges.filter((e) => e.label && e.label.x > sight.x0 && e.label.x < sight.x1 && e.label.y > sight.y0 && e.label.y < sight.y1) : []), [placed, sight, far]);

  const nameOf = (el: Element | null) => places.get(el?.closest<HTMLElement>("[data-id]")?.dataset.id ?? "")?.node.name;
  const choose = (ev: MouseEvent) => {
    if (s.dragged()) return;
    const name = nameOf(ev.target as Element);
    if (name !== undefined) return onSelect?.(name);
    if (!far) return;
    // The innermost box that was hit.
    const p = s.at(ev.clientX, ev.clientY);
    const hit = seen.findLast((n) => !isEnd(n.node) && meets(boxOf(n), { x0: p.x, y0: p.y, x1: p.x, y1: p.y }));
    if (hit) onSelect?.(hit.node.name);
  };
  const onKeyDown = (ev: KeyboardEvent) => {
    const id = document.activeElement?.closest<HTMLElement>("[data-id]")?.dataset.id;
    const name = nameOf(document.activeElement);
    if (id === undefined || name === undefined) return;
    if (ev.key === "Escape") return box.current?.focus();
    if (onDelete && (ev.key === "Delete" || ev.key === "Backspace")) {
      ev.preventDefault();
      return onDelete(name);
    }
    if (ev.key === "Enter" || ev.key === " ") {
      ev.preventDefault();
      return onSelect?.(name);
    }
    if (!/^Arrow/.test(ev.key) || ev.ctrlKey || ev.altKey || ev.metaKey) return;
    ev.preventDefault();
    ev.stopPropagation();
    const next = neighbour(placed, places, id, ev.key as Arrow, dir);
    if (next === undefined) return;
    wanted.current = next;
    hold(next); // and it is drawn
  };
  const wanted = useRef<string>(undefined); // what is to get the focus
  useLayoutEffect(() => {
    if (wanted.current === undefined || wanted.current !== held) return;
    wanted.current = undefined;
    frame.current?.querySelector<HTMLElement>(`[data-id="${CSS.escape(held)}"]`)?.focus({ preventScroll: true });
  }, [held]);
  const reveal = (n: PlacedNode | undefined) => {
    if (!n) return;
    const v = revealed(s.view(), n, s.size());
    if (v !== s.view()) s.show(v);
  };
  // What is chosen elsewhere is shown here.
  useEffect(() => {
    if (selected === undefined || box.current?.contains(document.activeElement)) return;
    for (const n of places.values()) if (n.node.name === selected) return reveal(n);
  }, [selected, places]);
  const dropAt = (ev: DragEvent): Drop | undefined => {
    const p = s.at(ev.clientX, ev.clientY);
    return nearest(placed, places, p.x, p.y);
  };

  return (
    <div ref={box} className="asl-canvas" style={{ height }} onKeyDown={onKeyDown} role="group" tabIndex={-1} aria-label={t("graphLabel")}
      onDragOver={(ev) => {
        if (!onDrop) return;
        const d = dropAt(ev);
        setTarget(d);
        if (d) ev.preventDefault();
      }}
      onDragLeave={(ev) => !box.current?.contains(ev.relatedTarget as globalThis.Node | null) && setTarget(undefined)}
      onDrop={(ev) => {
        const d = onDrop && dropAt(ev);
        setTarget(undefined);
        if (!d) return;
        ev.preventDefault();
        onDrop(ev.dataTransfer.getData("text/plain"), d);
      }}
    >
      <div
        ref={frame}
        className="asl-frame"
        onClick={choose}
        onFocus={(ev) => {
          const id = (ev.target as Element).closest<HTMLElement>("[data-id]")?.dataset.id;
          hold(id);
          const f = ev.currentTarget; // which the browser may have scrolled to what has the focus
          f.scrollTop = f.scrollLeft = 0;
          if (id !== undefined && (ev.target as Element).matches(":focus-visible")) reveal(places.get(id));
        }}
        onBlur={() => hold(undefined)}
      >
        <div ref={world} className="asl-world">
          <svg className="asl-lines" aria-hidden="true">
            {boxes.map(([cls, d]) => (
              <path key={cls} className={cls} d={d} />
            ))}
            {drawn.map((l) => (
              <g key={`${l.kind} ${l.taken}`} className={`k-${l.kind} ${l.taken ? "taken" : ""}`}>
                <path className="asl-edge" d={l.d} />
                <path className="asl-tip" d={l.tips} />
              </g>
            ))}
          </svg>
          {seen.map((n) => {
            const g = n.node;
            if (far && g.id !== lead) return null;
            const own = served?.[g.name];
            return (
              <State
                key={g.id}
                id={g.id}
                g={g}
                x={n.x}
                y={n.y}
                w={n.w}
                h={n.h}
                status={statusOf(g)}
                reached={!statuses || isEnd(g) || statuses[g.name] !== undefined}
                times={counts?.[g.name]}
                badge={own && !isEnd(g) ? badgeText(own, t) : undefined}
                bad={own?.shares.length === 0}
                selected={g.name === selected && !isEnd(g)}
                lead={g.id === lead}
              />
            );
          })}
          {labels.map((e) => {
            const text = e.edge.kind === "default" ? "Default" : e.edge.label;
            return (
              <div key={e.edge.id} className={`asl-elabel k-${e.edge.kind}`} style={{ left: e.label!.x, top: e.label!.y }} title={text}>
                {text}
              </div>
            );
          })}
          {target && <div className="asl-drop" style={{ transform: `translate(${target.x}px,${target.y}px)`, width: target.w }} />}
        </div>
      </div>
      <div className="asl-controls">
        <Button variant="icon" iconName="zoom-in" ariaLabel={t("zoomIn")} onClick={() => s.zoom(1.2)} />
        <Button variant="icon" iconName="zoom-out" ariaLabel={t("zoomOut")} onClick={() => s.zoom(1 / 1.2)} />
        <Button variant="icon" iconName="zoom-to-fit" ariaLabel={t("fit")} onClick={() => s.show(whole(placed, s.size()))} />
      </div>
      {statuses && (
        <ul className="asl-legend" aria-label={t("legend")}>
          {(["succeeded", "failed", "running", "caught", "aborted"] as Status[]).map((x) => (
            <li key={x}>
              <span className={`sw st-${x}`} />
              {t(statusKey[x])}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
