// A table of which only what is in sight is drawn, for histories of 25,000 events. Rows have one
// height; they are reached with the arrow keys, Page Up and Down, Home and End.
import { memo, useCallback, useEffect, useLayoutEffect, useRef, useState, type KeyboardEvent, type ReactNode } from "react";
import "./rows.css";

export type Column<T> = { id: string; header: string; width: number; grow?: number; cell: (t: T) => ReactNode };

const ROW = 34;
const spare = 6; // rows drawn above and below

export type RowsProps<T> = {
  label: string;
  items: readonly T[];
  columns: readonly Column<T>[];
  trackBy: (t: T) => number | string;
  selected?: number | string;
  onSelect?: (t: T) => void;
  height?: number;
  empty?: ReactNode;
};

export default function Rows<T>({ label, items, columns, trackBy, selected, onSelect, height = 480, empty }: RowsProps<T>) {
  const box = useRef<HTMLDivElement>(null);
  const [first, setFirst] = useState(0);
  const [active, setActive] = useState(0);
  const wanted = useRef<number>(undefined); // row to focus once it is there
  const tall = Math.min(height, (items.length + 1) * ROW + 2);
  const shown = Math.ceil(tall / ROW) + 2 * spare;
  const top = Math.max(0, Math.min(first - spare, items.length - shown));
  const frame = useRef(0);
  const onScroll = useCallback(() => {
    cancelAnimationFrame(frame.current);
    frame.current = requestAnimationFrame(() => box.current && setFirst(Math.floor(box.current.scrollTop / ROW)));
  }, []);
  const reveal = useCallback((i: number) => {
    const b = box.current;
    if (!b) return;
    const y = i * ROW;
    if (y < b.scrollTop) b.scrollTop = y;
    else if (y + 2 * ROW > b.scrollTop + b.clientHeight) b.scrollTop = y + 2 * ROW - b.clientHeight;
  }, []);
  const key = (ev: KeyboardEvent) => {
    const page = Math.max(1, Math.floor(tall / ROW) - 2);
    const to = { ArrowDown: active + 1, ArrowUp: active - 1, PageDown: active + page, PageUp: active - page, Home: 0, End: items.length - 1 }[ev.key];
    if (to !== undefined) {
      ev.preventDefault();
      const i = Math.max(0, Math.min(items.length - 1, to));
      setActive(i);
      wanted.current = i;
      reveal(i);
    } else if ((ev.key === "Enter" || ev.key === " ") && items[active]) {
      ev.preventDefault();
      onSelect?.(items[active]);
    }
  };
  useLayoutEffect(() => {
    if (wanted.current === undefined) return;
    const el = box.current?.querySelector<HTMLElement>(`[aria-rowindex="${wanted.current + 2}"]`);
    if (el) {
      wanted.current = undefined;
      el.focus({ preventScroll: true });
    }
  });
  // What is chosen elsewhere is brought into sight; what is chosen here is in it already.
  useEffect(() => {
    if (selected === undefined || box.current?.contains(document.activeElement)) return;
    const i = items.findIndex((t) => trackBy(t) === selected);
    if (i >= 0) {
      setActive(i);
      reveal(i);
    }
  }, [selected]);
  const template = columns.map((c) => (c.grow ? `minmax(${c.width}px, ${c.grow}fr)` : `${c.width}px`)).join(" ");
  const wide = columns.reduce((n, c) => n + c.width, 0);
  const at = Math.min(active, items.length - 1);
  const pick = useCallback(
    (i: number) => {
      setActive(i);
      if (items[i]) onSelect?.(items[i]);
    },
    [items, onSelect],
  );
  return (
    <div ref={box} className="vrows" role="grid" aria-label={label} aria-rowcount={items.length + 1} style={{ height: items.length ? tall : undefined }} onScroll={onScroll} onKeyDown={key}>
      <div className="vrow vhead" role="row" aria-rowindex={1} style={{ gridTemplateColumns: template, minWidth: wide }}>
        {columns.map((c) => (
          <span role="columnheader" key={c.id}>
            {c.header}
          </span>
        ))}
      </div>
      {items.length === 0 && empty && (
        <div role="row">
          <div role="gridcell">{empty}</div>
        </div>
      )}
      <div role="rowgroup" className="vbody" style={{ height: items.length * ROW, minWidth: wide }}>
        {items.slice(top, top + shown).map((t, n) => (
          <Row key={trackBy(t)} item={t} index={top + n} columns={columns} template={template} selected={selected !== undefined && trackBy(t) === selected} active={top + n === at} pick={pick} clickable={onSelect !== undefined} />
        ))}
      </div>
    </div>
  );
}

type RowProps = { item: any; index: number; columns: readonly Column<any>[]; template: string; selected: boolean; active: boolean; pick: (i: number) => void; clickable: boolean };
const Row = memo(function Row({ item, index, columns, template, selected, active, pick, clickable }: RowProps) {
  return (
    <div
      className={`vrow ${selected ? "sel" : ""} ${clickable ? "can" : ""}`}
      role="row"
      aria-rowindex={index + 2}
      aria-selected={clickable ? selected : undefined}
      tabIndex={active ? 0 : -1}
      style={{ gridTemplateColumns: template, transform: `translateY(${index * ROW}px)` }}
      onClick={() => pick(index)}
    >
      {columns.map((c) => (
        <span role="gridcell" key={c.id}>
          {c.cell(item)}
        </span>
      ))}
    </div>
  );
});
