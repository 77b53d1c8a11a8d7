// What is chosen on a page is part of its address, so that it survives a reload and can be passed on.
import { useCallback, useEffect, useRef, useState } from "react";
import { useSearchParams } from "wouter";
import { recall, remember } from "./prefs";

type Update = (p: URLSearchParams) => void;

// useParam is one value of the address. What is remembered of earlier visits, under the name of a
// page, stands in where the address says nothing.
export function useParam(name: string, fallback = "", page?: string): [string, (v: string) => void] {
  const [query, setQuery] = useSearchParams();
  const before = page === undefined ? undefined : recall(page)[name];
  const value = query.get(name) ?? (typeof before === "string" ? before : fallback);
  const set = useCallback(
    (v: string) => {
      if (page !== undefined) remember(page, { [name]: v });
      setQuery(put((q) => (v === fallback ? q.delete(name) : q.set(name, v))), { replace: true });
    },
    [name, fallback, page, setQuery],
  );
  return [value, set];
}

// put changes what the address says now, which may be more than what was last drawn.
export const put = (change: Update) => {
  const q = new URLSearchParams(location.search);
  change(q);
  return q;
};

const pause = 300; // ms; browsers refuse too many changes of the address

// useTyped is a value that is typed: the address has it when the typing pauses.
export function useTyped(name: string): [string, (v: string) => void] {
  const [kept, keep] = useParam(name);
  const [text, setText] = useState(kept);
  const latest = useRef(keep);
  latest.current = keep;
  useEffect(() => {
    if (text === kept) return;
    const timer = setTimeout(() => latest.current(text), pause);
    return () => clearTimeout(timer);
  }, [text, kept]);
  return [text, setText];
}
