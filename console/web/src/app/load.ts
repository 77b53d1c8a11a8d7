import { useCallback, useEffect, useRef, useState } from "react";
import { noteError } from "../aws/clients";

export type Loaded<T> = { data?: T; error?: unknown; loading: boolean; reload: () => void };

// useLoad loads when deps change, and again every so often while every says so; never while the
// page is hidden. What came before stays until the next is there.
export function useLoad<T>(load: (signal: AbortSignal) => Promise<T>, deps: readonly unknown[], every?: (data: T) => number | undefined): Loaded<T> {
  const [state, set] = useState<{ data?: T; error?: unknown; loading: boolean }>({ loading: true });
  const [turn, setTurn] = useState(0);
  const fn = useRef({ load, every });
  fn.current = { load, every };
  const key = JSON.stringify(deps);
  const before = useRef(key);
  useEffect(() => {
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    if (before.current !== key) {
      before.current = key;
      set({ loading: true });
    } else set((s) => ({ ...s, loading: true }));
    const run = async () => {
      try {
        const data = await fn.current.load(abort.signal);
        if (abort.signal.aborted) return;
        set({ data, loading: false });
        const ms = fn.current.every?.(data);
        if (ms !== undefined) timer = setTimeout(again, ms);
      } catch (error) {
        if (abort.signal.aborted) return;
        noteError(error);
        set((s) => ({ ...s, error, loading: false }));
      }
    };
    const again = () => {
      if (document.hidden) document.addEventListener("visibilitychange", again, { once: true, signal: abort.signal });
      else void run();
    };
    void run();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [key, turn]);
  return { ...state, reload: useCallback(() => setTurn((n) => n + 1), []) };
}

// pages collects what a list gives page by page, up to a number of pages.
export async function pages<T>(most: number, page: (token: string | undefined) => Promise<{ items: T[]; next?: string }>): Promise<{ items: T[]; more: boolean }> {
  const items: T[] = [];
  let token: string | undefined;
  for (let i = 0; i < most; i++) {
    const p = await page(token);
    items.push(...p.items);
    token = p.next;
    if (!token) return { items, more: false };
  }
  return { items, more: true };
}
