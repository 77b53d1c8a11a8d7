// A drawing that is moved and zoomed: by dragging, pinching, the wheel with Ctrl, a double click.
// Moving changes one style and draws nothing anew, until what was drawn around the window is used up.
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState, type RefObject } from "react";
import type { Pt } from "./layout";
import { inside, limits, point, seen, zoomed, type Box, type Size, type View } from "./view";

const spare = 0.5; // of the window's size that is drawn around it
const slack = 4; // pixels that a click may move
const dots = 20;

export type Surface = {
  sight: Box | undefined; // what is to be drawn; undefined: the window is not known yet
  touched: () => boolean; // by the user, since home was called
  dragged: () => boolean; // by the press that ended last: the click that follows chooses nothing
  view: () => View;
  size: () => Size;
  show: (v: View) => void;
  home: (v: View) => void;
  zoom: (factor: number) => void; // about the middle
  at: (clientX: number, clientY: number) => Pt;
};

// useSurface makes frame the window on what world holds, which is of a size.
export function useSurface(frame: RefObject<HTMLElement | null>, world: RefObject<HTMLElement | null>, of: Size | null, onResize: () => void): Surface {
  const view = useRef<View>({ x: 0, y: 0, zoom: 1 });
  const size = useRef<Size>({ w: 0, h: 0 });
  const used = useRef(false);
  const drag = useRef(false);
  const drawn = useRef<{ box: Box; zoom: number }>(undefined);
  const [sight, see] = useState<Box>();
  const range = useRef<[number, number]>([1, 1]);
  range.current = of ? limits(of, size.current) : [1, 1];
  const resized = useRef(onResize);
  resized.current = onResize;

  const show = useCallback((v: View) => {
    const [f, w] = [frame.current, world.current];
    if (!f || !w) return;
    view.current = v;
    w.style.transform = `translate(${v.x}px,${v.y}px) scale(${v.zoom})`;
    f.style.backgroundPosition = `${v.x}px ${v.y}px`;
    const apart = dots * v.zoom * 2 ** Math.max(0, Math.ceil(-Math.log2(v.zoom)));
    f.style.backgroundSize = `${apart}px ${apart}px`;
    // Much less than was drawn is drawn anew as well, so that zooming in leaves nothing behind.
    const d = drawn.current;
    if (d && inside(seen(v, size.current), d.box) && v.zoom < d.zoom * 2) return;
    const box = seen(v, size.current, spare);
    drawn.current = { box, zoom: v.zoom };
    see(box);
  }, []);
  const touch = useCallback((v: View) => {
    used.current = true;
    show(v);
  }, []);

  useLayoutEffect(() => {
    const f = frame.current!;
    const measure = () => {
      if (f.clientWidth === size.current.w && f.clientHeight === size.current.h) return;
      size.current = { w: f.clientWidth, h: f.clientHeight };
      drawn.current = undefined;
      show(view.current);
      resized.current();
    };
    measure();
    const ro = new ResizeObserver(measure);
    ro.observe(f);
    return () => ro.disconnect();
  }, []);

  useEffect(() => {
    const f = frame.current!;
    const off = new AbortController();
    const here = (ev: MouseEvent): Pt => {
      const r = f.getBoundingClientRect();
      return { x: ev.clientX - r.left - f.clientLeft, y: ev.clientY - r.top - f.clientTop };
    };
    const fingers = new Map<number, Pt>();
    let from: Pt | undefined; // where a press began that is no drag yet
    const down = (ev: PointerEvent) => {
      if (ev.button !== 0) return;
      drag.current = false;
      fingers.set(ev.pointerId, here(ev));
      from = fingers.size === 1 ? here(ev) : undefined;
    };
    const move = (ev: PointerEvent) => {
      const was = fingers.get(ev.pointerId);
      if (!was) return;
      const is = here(ev);
      if (from) {
        if (Math.hypot(is.x - from.x, is.y - from.y) < slack) return;
        from = undefined;
        drag.current = true;
        f.setPointerCapture(ev.pointerId);
        f.classList.add("dragged");
      }
      fingers.set(ev.pointerId, is);
      const v = view.current;
      const other = [...fingers].find(([id]) => id !== ev.pointerId)?.[1];
      if (!other) return touch({ ...v, x: v.x + is.x - was.x, y: v.y + is.y - was.y });
      const apart = (p: Pt) => Math.hypot(p.x - other.x, p.y - other.y) || 1;
      const pinched = zoomed(v, apart(is) / apart(was), (was.x + other.x) / 2, (was.y + other.y) / 2, range.current);
      touch({ ...pinched, x: pinched.x + (is.x - was.x) / 2, y: pinched.y + (is.y - was.y) / 2 });
    };
    const up = (ev: PointerEvent) => {
      fingers.delete(ev.pointerId);
      from = undefined;
      if (fingers.size === 0) f.classList.remove("dragged");
    };
    const wheel = (ev: WheelEvent) => {
      if (!ev.ctrlKey && !ev.metaKey) return; // else the page is scrolled
      ev.preventDefault();
      const by = ev.deltaMode === WheelEvent.DOM_DELTA_LINE ? ev.deltaY * 16 : ev.deltaY;
      const p = here(ev);
      touch(zoomed(view.current, 2 ** (-Math.max(-40, Math.min(40, by)) / 100), p.x, p.y, range.current));
    };
    const double = (ev: MouseEvent) => {
      if ((ev.target as Element).closest("[data-id]")) return;
      const p = here(ev);
      touch(zoomed(view.current, ev.shiftKey ? 0.5 : 2, p.x, p.y, range.current));
    };
    const options = { signal: off.signal };
    f.addEventListener("pointerdown", down, options);
    f.addEventListener("pointermove", move, options);
    for (const end of ["pointerup", "pointercancel"] as const) addEventListener(end, up, options);
    f.addEventListener("wheel", wheel, { ...options, passive: false });
    f.addEventListener("dblclick", double, options);
    // What has the focus is brought into sight by the view and not by scrolling.
    f.addEventListener("scroll", () => (f.scrollTop = f.scrollLeft = 0), options);
    return () => off.abort();
  }, []);

  return useMemo(
    () => ({
      sight,
      touched: () => used.current,
      dragged: () => drag.current,
      view: () => view.current,
      size: () => size.current,
      show: touch,
      home: (v: View) => {
        used.current = false;
        show(v);
      },
      zoom: (factor: number) => touch(zoomed(view.current, factor, size.current.w / 2, size.current.h / 2, range.current)),
      at: (x: number, y: number) => {
        const r = frame.current!.getBoundingClientRect();
        return point(view.current, x - r.left, y - r.top);
      },
    }),
    [sight],
  );
}
