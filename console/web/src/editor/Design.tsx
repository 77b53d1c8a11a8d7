// A definition as its graph, that is changed by dragging, choosing and filling in forms. What is
// changed is the definition's text.
import { useMemo, useRef, useState, type KeyboardEvent } from "react";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import later from "../app/later";
import AslGraph, { type Drop } from "../graph/AslGraph";
import type { Dir } from "../graph/layout";
import { useTexts } from "../i18n/page";
import designTexts from "../i18n/pages/design";
import StateForm from "./Form";
import { blocks, change, drop, duplicate, insert, locate, names, rename, type Block } from "./design";
import "./design.css";

const TestState = later(() => import("./TestState"));

export type Edits = { undo?: () => void; redo?: () => void };
type Props = { value: string; onChange: (v: string) => void; selected?: string; onSelect: (n: string | undefined) => void; dir: Dir; edits: Edits; role?: string };

const glyph: Record<Block, [string, string]> = {
  InvokeModel: ["✦", "g-Task"],
  Converse: ["✦", "g-Task"],
  Lambda: ["λ", "g-Task"],
  StartExecution: ["⇉", "g-Task"],
  Task: ["λ", "g-Task"],
  Pass: ["→", "g-Pass"],
  Choice: ["?", "g-Choice"],
  Parallel: ["∥", "g-Parallel"],
  Map: ["↻", "g-Map"],
  Wait: ["◷", "g-Wait"],
  Succeed: ["✓", "g-Succeed"],
  Fail: ["✕", "g-Fail"],
};

export default function Design({ value, onChange, selected, onSelect, dir, edits, role }: Props) {
  const tr = useTexts(designTexts);
  const [testing, setTesting] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const now = useMemo(() => {
    try {
      return { taken: names(value), place: selected === undefined ? undefined : locate(value, selected) };
    } catch {
      return undefined;
    }
  }, [value, selected]);
  const put = (b: Block, where: Drop | { from?: string; to?: string }) => {
    const r = insert(value, b, where);
    onChange(r.text);
    onSelect(r.name);
  };
  // After the chosen state, else at the end of the way from the start.
  const append = (b: Block) => {
    if (now?.place && !["Succeed", "Fail"].includes(now.place.state.Type)) return put(b, { from: selected });
    const doc = JSON.parse(value) as { StartAt?: string; States?: Record<string, any> };
    const seen = new Set<string>();
    let at = doc.StartAt;
    while (at && doc.States?.[at]?.Next && !seen.has(at)) {
      seen.add(at);
      at = doc.States[at].Next as string;
    }
    const last = at && doc.States?.[at];
    put(b, !last ? {} : ["Succeed", "Fail"].includes(last.Type) ? (seen.size ? { from: [...seen].at(-1), to: at } : { to: at }) : { from: at });
  };
  const remove = (name: string) => {
    onChange(drop(value, name));
    onSelect(undefined);
    box.current?.focus();
  };
  const copy = () => {
    if (selected === undefined) return;
    const r = duplicate(value, selected);
    onChange(r.text);
    onSelect(r.name);
  };
  const key = (ev: KeyboardEvent) => {
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test((ev.target as HTMLElement).tagName);
    if (!(ev.ctrlKey || ev.metaKey) || typing) return;
    const k = ev.key.toLowerCase();
    const does = k === "z" && !ev.shiftKey ? edits.undo : (k === "z" && ev.shiftKey) || k === "y" ? edits.redo : k === "d" ? copy : undefined;
    if (!does && !"zyd".includes(k)) return;
    ev.preventDefault();
    does?.();
  };
  if (!now) return <Box>{tr("notJson")}</Box>;
  return (
    <div ref={box} onKeyDown={key} tabIndex={-1} role="group" aria-label={tr("design")} className="design-box">
      <div className="design-tools">
        <Button variant="icon" iconName="undo" ariaLabel={tr("undo")} disabled={!edits.undo} onClick={() => edits.undo?.()} />
        <Button variant="icon" iconName="redo" ariaLabel={tr("redo")} disabled={!edits.redo} onClick={() => edits.redo?.()} />
        <Button variant="icon" iconName="copy" ariaLabel={tr("duplicate")} disabled={!now.place} onClick={copy} />
        <Button variant="icon" iconName="remove" ariaLabel={tr("remove")} disabled={!now.place} onClick={() => selected !== undefined && remove(selected)} />
        <Button disabled={!now.place} onClick={() => setTesting(true)}>
          {tr("test")}
        </Button>
      </div>
      <div className="design">
        <div className="design-side" role="group" aria-label={tr("palette")}>
          <Box color="text-body-secondary" fontSize="body-s">
            {tr("paletteHint")}
          </Box>
          <div className="design-palette">
            {blocks.map((b) => (
              <button key={b} type="button" className="design-block" draggable onDragStart={(e) => e.dataTransfer.setData("text/plain", b)} onClick={() => append(b)} title={tr("add", { block: tr(`block_${b}`) })}>
                <span className={`asl-glyph ${glyph[b][1]}`} aria-hidden="true">
                  {glyph[b][0]}
                </span>
                {tr(`block_${b}`)}
              </button>
            ))}
          </div>
        </div>
        <AslGraph definition={value} dir={dir} selected={selected} onSelect={onSelect} height={640} onDelete={remove} onDrop={(what, at) => (blocks as string[]).includes(what) && put(what as Block, at)} />
        <div className="design-side" role="group" aria-label={tr("inspector")}>
          {selected !== undefined && now.place ? (
            <StateForm
              key={selected}
              name={selected}
              place={now.place}
              taken={now.taken}
              onChange={(s) => onChange(change(value, selected, s))}
              onRename={(to) => {
                const t = rename(value, selected, to);
                if (t === value) return;
                onChange(t);
                onSelect(to);
              }}
            />
          ) : (
            <Box color="text-body-secondary">{tr("nothing")}</Box>
          )}
        </div>
      </div>
      {testing && selected !== undefined && (
        <TestState
          definition={value}
          state={selected}
          role={role}
          onDismiss={() => setTesting(false)}
          onUse={(s) => {
            onChange(change(value, selected, s as Record<string, unknown>));
            setTesting(false);
          }}
        />
      )}
    </div>
  );
}
