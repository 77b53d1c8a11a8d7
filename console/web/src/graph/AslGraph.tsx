import { useEffect, useMemo, useRef, useState, type KeyboardEvent } from "react";
import { Background, BaseEdge, BackgroundVariant, EdgeLabelRenderer, Handle, MarkerType, Position, ReactFlow, ReactFlowProvider, useReactFlow, type Edge, type EdgeProps, type Node, type NodeProps } from "@xyflow/react";
import "@xyflow/react/dist/base.css";
import "./graph.css";
import Icon, { type IconProps } from "@cloudscape-design/components/icon";
import Button from "@cloudscape-design/components/button";
import { toGraph, type GNode, type NodeType, type Status } from "./model";
import { bump, layoutDagre, type Dir, type Placed, type Pt } from "./layout";
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

type EData = { points: Pt[]; labelAt?: Pt; text: string; kind: string; dir: Dir; taken?: boolean; [k: string]: unknown };
function RouteEdge({ id, data, markerEnd }: EdgeProps<Edge<EData>>) {
  const d = data!;
  return (
    <>
      <BaseEdge id={id} path={bump(d.points, d.dir)} markerEnd={markerEnd} className={`asl-edge k-${d.kind} ${d.taken ? "taken" : ""}`} />
      {d.labelAt && (
        <EdgeLabelRenderer>
          <div className={`asl-elabel k-${d.kind}`} style={{ transform: `translate(-50%,-50%) translate(${d.labelAt.x}px,${d.labelAt.y}px)` }} title={d.text}>{d.text}</div>
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
};

// badgeText is where a state's calls were answered, and with how many tokens.
export function badgeText(s: Served, t: T): string {
  const parts = s.shares.map((r) => (s.shares.length > 1 || r.calls > 1 ? `${r.region} ×${r.calls}` : r.region));
  if (s.input + s.output > 0) parts.push(t("tokensShort", { n: s.input + s.output }));
  if (s.denied) parts.push(t("deniedN", { n: s.denied }));
  if (s.failed) parts.push(t("failedN", { n: s.failed }));
  return parts.join(" · ");
}

function Inner({ definition, statuses, counts, served, selected, onSelect, dir = "TB", height = 620 }: GraphProps) {
  const { t } = useI18n();
  const rf = useReactFlow();
  const box = useRef<HTMLDivElement>(null);
  const [placed, setPlaced] = useState<Placed | null>(null);

  const live = statuses !== undefined;
  useEffect(() => {
    try {
      setPlaced(layoutDagre(toGraph(JSON.parse(definition), live), dir));
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
          selectable: p.node.type !== "Start" && p.node.type !== "End",
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
          data: { points: e.points, labelAt: e.label, text: e.edge.kind === "default" ? "Default" : e.edge.label, kind: e.edge.kind, dir, taken },
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
    const gap = (have: number, need: number) => (need > have ? 16 : (have - need) / 2 + 12);
    rf.setViewport({ x: gap(W, placed.w * zoom), y: gap(H, placed.h * zoom), zoom });
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

  const onKeyDown = (ev: KeyboardEvent) => {
    const d = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[ev.key];
    const cur = (document.activeElement as HTMLElement | null)?.closest<HTMLElement>(".react-flow__node");
    if (!d || !cur || !box.current) return;
    ev.preventDefault();
    // up and down follow the edges; where there is none, and sideways, places count
    const id = cur.dataset.id;
    const along = d[1] && placed?.edges.find((e) => (d[1]! > 0 ? e.edge.source : e.edge.target) === id)?.edge;
    const next = along && box.current.querySelector<HTMLElement>(`.react-flow__node[tabindex="0"][data-id="${CSS.escape(d[1]! > 0 ? along.target : along.source)}"]`);
    if (next) return next.focus();
    const c = (el: Element) => {
      const r = el.getBoundingClientRect();
      return { x: r.x + r.width / 2, y: d[1] ? (d[1] > 0 ? r.top : r.top) : r.y + r.height / 2 };
    };
    const o = c(cur);
    let best: HTMLElement | null = null;
    let bd = Infinity;
    for (const el of box.current.querySelectorAll<HTMLElement>('.react-flow__node[tabindex="0"]')) {
      if (el === cur) continue;
      const q = c(el);
      const along = (q.x - o.x) * d[0]! + (q.y - o.y) * d[1]!;
      const across = Math.abs((q.x - o.x) * d[1]!) + Math.abs((q.y - o.y) * d[0]!);
      if (along <= 4) continue;
      const s = along + across * 2;
      if (s < bd) [bd, best] = [s, el];
    }
    best?.focus();
  };

  return (
    <div ref={box} className="asl-canvas" style={{ height }} onKeyDown={onKeyDown} role="group" aria-label={t("graphLabel")}>
      <ReactFlow
        nodes={nodes}
        edges={edges}
        nodeTypes={nodeTypes}
        edgeTypes={edgeTypes}
        nodesDraggable={false}
        nodesConnectable={false}
        elementsSelectable
        edgesFocusable={false}
        onNodeClick={(_, n) => onSelect?.((n.data as Data).g.name)}
        onSelectionChange={({ nodes: s }) => s[0] && (s[0].data as Data).g.name !== selected && onSelect?.((s[0].data as Data).g.name)}
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
