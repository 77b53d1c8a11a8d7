import { useEffect, useMemo, useRef, useState, type DragEvent, type KeyboardEvent } from "react";
import { Background, BaseEdge, BackgroundVariant, EdgeLabelRenderer, Handle, MarkerType, Position, ReactFlow, ReactFlowProvider, useReactFlow, ViewportPortal, type Edge, type EdgeProps, type Node, type NodeProps } from "@xyflow/react";
import "@xyflow/react/dist/base.css";
import "./graph.css";
import Icon, { type IconProps } from "@cloudscape-design/components/icon";
import Button from "@cloudscape-design/components/button";
import { toGraph, type GNode, type NodeType, type Status } from "./model";
import { absolute, layout, neighbour, path, type Arrow, type Dir, type Placed, type PlacedEdge, type PlacedNode } from "./layout";
import type { Served } from "../model/inference";
import { useI18n, type Key, type T } from "../i18n";

export const statusKey: Record<Status, Key> = { succeeded: "stSucceeded", failed: "stFailed", running: "stRunning", caught: "stCaught", aborted: "stAborted" };
const glyph: Record<NodeType, string> = { Task: "λ", Choice: "?", Parallel: "∥", Map: "↻", Pass: "→", Wait: "◷", Succeed: "✓", Fail: "✕", Start: "", End: "" };

type Data = { g: GNode; status?: Status; reached: boolean; served?: Served; times?: number; badge?: string; [k: string]: unknown };
const marks: Record<Status, IconProps> = {
  succeeded: { name: "status-positive", variant: "success" },
  failed: { name: "status-negative", variant: "error" },
  caught: { name: "status-warning", variant: "warning" },
  running: { name: "status-in-progress" },
  aborted: { name: "status-stopped", variant: "subtle" },
};
const hidden = { opacity: 0, pointerEvents: "none" } as const;

function StateNode({ data, selected }: NodeProps<Node<Data>>) {
  const { g, status, reached, served, times, badge } = data;
  const cls = `asl-node asl-${g.type} ${status ? "st-" + status : ""} ${reached ? "" : "st-notReached"} ${selected ? "sel" : ""}`;
  const h = (
    <>
      <Handle type="target" position={Position.Top} style={hidden} isConnectable={false} />
      <Handle type="source" position={Position.Bottom} style={hidden} isConnectable={false} />
    </>
  );
  if (g.type === "Start" || g.type === "End") return <div className={cls}>{h}{g.name}</div>;
  const mark = status && (
    <span className="asl-mark">
      <Icon {...marks[status]} />
    </span>
  );
  return (
    <div className={cls}>
      {h}
      <div className="asl-head">
        <span className={`asl-glyph g-${g.type}`} aria-hidden="true">{/^bedrock/.test(g.detail) ? "✦" : glyph[g.type]}</span>
        <span className="asl-text">
          <span className="asl-detail">{g.type === "Task" ? g.detail : g.type}</span>
          <span className="asl-name" title={g.name}>{g.name}</span>
        </span>
        {times !== undefined && times > 1 && <span className="asl-times">×{times}</span>}
        {mark}
      </div>
      {served && (
        <div className={`asl-badge ${served.shares.length ? "" : "bad"}`} title={badge}>
          {badge}
        </div>
      )}
    </div>
  );
}

type EData = { e: PlacedEdge; text: string; dir: Dir; taken?: boolean; [k: string]: unknown };
function RouteEdge({ id, data, markerEnd }: EdgeProps<Edge<EData>>) {
  const { e, text, dir, taken } = data!;
  return (
    <>
      <BaseEdge id={id} path={path(e, dir)} markerEnd={markerEnd} className={`asl-edge k-${e.edge.kind} ${taken ? "taken" : ""}`} />
      {e.label && (
        <EdgeLabelRenderer>
          <div className={`asl-elabel k-${e.edge.kind}`} style={{ transform: `translate(-50%,-50%) translate(${e.label.x}px,${e.label.y}px)` }} title={text}>{text}</div>
        </EdgeLabelRenderer>
      )}
    </>
  );
}

const nodeTypes = { state: StateNode };
const edgeTypes = { route: RouteEdge };

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

function Inner({ definition, statuses, counts, served, selected, onSelect, dir = "TB", height = 620, onDelete, onDrop }: GraphProps) {
  const { t } = useI18n();
  const rf = useReactFlow();
  const box = useRef<HTMLDivElement>(null);
  const [placed, setPlaced] = useState<Placed | null>(null);
  const [target, setTarget] = useState<Drop>();

  const live = statuses !== undefined;
  useEffect(() => {
    try {
      setPlaced(layout(toGraph(JSON.parse(definition), live), dir));
    } catch {
      // the last good graph stays while the text does not parse
    }
  }, [definition, dir, live]);

  const nodes = useMemo<Node<Data>[]>(
    () =>
      (placed?.nodes ?? []).map((p) => {
        const st = p.node.type === "Start" || p.node.type === "End" ? undefined : statuses?.[p.node.name];
        const own = served?.[p.node.name];
        const badge = own && badgeText(own, t);
        return {
          id: p.node.id,
          type: "state",
          parentId: p.parent,
          position: { x: p.x, y: p.y },
          width: p.w,
          height: p.h,
          draggable: false,
          connectable: false,
          focusable: p.node.type !== "Start" && p.node.type !== "End",
          selected: p.node.name === selected,
          ariaLabel: `${p.node.name}, ${p.node.type}${p.node.type === "Task" ? " " + p.node.detail : ""}${st ? ", " + t(statusKey[st]) : ""}${badge ? ", " + badge : ""}`,
          data: { g: p.node, status: st, reached: !statuses || st !== undefined || p.node.type === "Start" || p.node.type === "End", served: own, badge, times: counts?.[p.node.name] },
        };
      }),
    [placed, statuses, counts, served, selected, t],
  );
  const edges = useMemo<Edge<EData>[]>(
    () =>
      (placed?.edges ?? []).map((e) => {
        const a = e.edge.source.split("/").pop()!;
        const b = e.edge.target.split("/").pop()!;
        // An edge was taken if its state was left in that way and the next one was reached.
        const left = a === "#start" ? "succeeded" : statuses?.[a];
        const taken = (b === "#end" || statuses?.[b] !== undefined) && (e.edge.kind === "catch" ? left === "caught" : left === "succeeded");
        return {
          id: e.edge.id,
          type: "route",
          source: e.edge.source,
          target: e.edge.target,
          focusable: false,
          selectable: false,
          zIndex: 1,
          markerEnd: { type: MarkerType.ArrowClosed, width: 14, height: 14, color: taken ? "var(--asl-edge-taken)" : e.edge.kind === "catch" ? "var(--asl-catch)" : "var(--asl-edge)" },
          data: { e, text: e.edge.kind === "default" ? "Default" : e.edge.label, dir, taken },
        };
      }),
    [placed, dir, statuses],
  );

  // first view: the whole graph if it stays legible, else its top part; again when the box changes
  const touched = useRef(false);
  const home = useRef(() => {});
  home.current = () => {
    const b = box.current;
    if (!placed || !b) return;
    const W = b.clientWidth - 56;
    const H = b.clientHeight - (live ? 68 : 24); // the legend is below
    const zoom = Math.max(0.42, Math.min(1, W / placed.w, H / placed.h));
    // What does not fit begins with where the workflow does.
    const first = placed.nodes.find((n) => n.node.type === "Start") ?? placed.nodes[0];
    const gap = (have: number, need: number, at: number) => (need <= have ? (have - need) / 2 + 12 : Math.min(16, Math.max(have / 2 - at * zoom, have - need)));
    rf.setViewport({ x: gap(W, placed.w * zoom, (first?.x ?? 0) + (first?.w ?? 0) / 2), y: gap(H, placed.h * zoom, dir === "TB" ? 0 : (first?.y ?? 0)), zoom });
  };
  useEffect(() => {
    touched.current = false;
    home.current();
  }, [placed]);
  useEffect(() => {
    const ro = new ResizeObserver(() => !touched.current && home.current());
    ro.observe(box.current!);
    return () => ro.disconnect();
  }, []);

  const places = useMemo(() => (placed ? absolute(placed) : new Map<string, PlacedNode>()), [placed]);
  const onKeyDown = (ev: KeyboardEvent) => {
    const cur = (document.activeElement as HTMLElement | null)?.closest<HTMLElement>(".react-flow__node");
    if (!cur || !placed) return;
    if (ev.key === "Escape") return box.current?.focus();
    if (onDelete && (ev.key === "Delete" || ev.key === "Backspace")) {
      ev.preventDefault();
      const g = places.get(cur.dataset.id!)?.node;
      if (g) onDelete(g.name);
      return;
    }
    if (ev.key === "Enter" || ev.key === " ") {
      ev.preventDefault();
      const g = places.get(cur.dataset.id!)?.node;
      if (g) onSelect?.(g.name);
      return;
    }
    if (!/^Arrow/.test(ev.key) || ev.ctrlKey || ev.altKey || ev.metaKey) return;
    ev.preventDefault();
    ev.stopPropagation();
    const id = neighbour(placed, places, cur.dataset.id!, ev.key as Arrow, dir);
    if (id) focusNode(id);
  };
  // A node that is out of sight is not there yet: it is brought into view first.
  const focusNode = (id: string) => {
    const n = places.get(id);
    const b = box.current;
    if (!n || !b) return;
    const v = rf.getViewport();
    const x = n.x * v.zoom + v.x;
    const y = n.y * v.zoom + v.y;
    if (x < 0 || y < 0 || x + n.w * v.zoom > b.clientWidth || y + 60 * v.zoom > b.clientHeight) {
      touched.current = true;
      void rf.setCenter(n.x + n.w / 2, n.y + Math.min(n.h, 200) / 2, { zoom: v.zoom });
    }
    const find = (tries: number) => {
      const el = b.querySelector<HTMLElement>(`.react-flow__node[data-id="${CSS.escape(id)}"]`);
      if (el) el.focus({ preventScroll: true });
      else if (tries > 0) requestAnimationFrame(() => find(tries - 1));
    };
    find(30);
  };
  // What is chosen elsewhere is shown here.
  useEffect(() => {
    const b = box.current;
    if (!selected || !b || b.contains(document.activeElement)) return;
    for (const n of places.values()) {
      if (n.node.name !== selected) continue;
      const v = rf.getViewport();
      const x = (n.x + n.w / 2) * v.zoom + v.x;
      const y = (n.y + Math.min(n.h, 60) / 2) * v.zoom + v.y;
      if (x < 0 || y < 0 || x > b.clientWidth || y > b.clientHeight) {
        touched.current = true;
        void rf.setCenter(n.x + n.w / 2, n.y + Math.min(n.h, 200) / 2, { zoom: v.zoom });
      }
      return;
    }
  }, [selected, places]);
  const dropAt = (ev: DragEvent): Drop | undefined => {
    const p = rf.screenToFlowPosition({ x: ev.clientX, y: ev.clientY });
    return placed ? nearest(placed, places, p.x, p.y) : undefined;
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
      <ReactFlow
        nodes={nodes}
        edges={edges}
        nodeTypes={nodeTypes}
        edgeTypes={edgeTypes}
        nodesDraggable={false}
        nodesConnectable={false}
        elementsSelectable={false} // what is chosen is said by selected
        nodesFocusable
        edgesFocusable={false}
        onlyRenderVisibleElements={nodes.length > 150}
        onNodeClick={(_, n) => onSelect?.((n.data as Data).g.name)}
        onInit={() => home.current()}
        onMoveStart={(e) => e && (touched.current = true)}
        minZoom={0.15}
        maxZoom={2}
        deleteKeyCode={null}
        multiSelectionKeyCode={null}
        selectionKeyCode={null}
        preventScrolling={false}
        zoomOnScroll={false}
        ariaLabelConfig={{ "node.a11yDescription.default": t("graphLabel"), "node.a11yDescription.keyboardDisabled": t("graphLabel") }}
      >
        <Background variant={BackgroundVariant.Dots} gap={20} size={1} />
        {target && (
          <ViewportPortal>
            <div className="asl-drop" style={{ transform: `translate(${target.x}px,${target.y}px)`, width: target.w }} />
          </ViewportPortal>
        )}
      </ReactFlow>
      <div className="asl-controls">
        <Button variant="icon" iconName="zoom-in" ariaLabel={t("zoomIn")} onClick={() => rf.zoomIn()} />
        <Button variant="icon" iconName="zoom-out" ariaLabel={t("zoomOut")} onClick={() => rf.zoomOut()} />
        <Button variant="icon" iconName="zoom-to-fit" ariaLabel={t("fit")} onClick={() => (placed && rf.fitBounds({ x: 0, y: 0, width: placed.w, height: placed.h }, { padding: 0.03 }))} />
      </div>
      {statuses && (
        <ul className="asl-legend" aria-label={t("legend")}>
          {(["succeeded", "failed", "running", "caught", "aborted"] as Status[]).map((s) => (
            <li key={s}>
              <span className={`sw st-${s}`} />
              {t(statusKey[s])}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

export default function AslGraph(p: GraphProps) {
  return (
    <ReactFlowProvider>
      <Inner {...p} />
    </ReactFlowProvider>
  );
}
