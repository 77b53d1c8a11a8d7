import { useRef, useState } from "react";
import { noteError, runtime } from "../../aws/clients";
import { ofRequest } from "../../aws/trail";
import { fold, type Answer, type User } from "../../model/converse";
import type { Record_ } from "../../model/inference";
import type { Asked } from "../../model/snippet";

export type Said = Answer & { first?: number; total?: number; stopped?: boolean; record?: Record_ | "unknown"; error?: unknown };
export type Exchange = { id: number; user: User; answer: Said };
let next = 1;

// useChat is one conversation with one model.
export function useChat() {
  const [turns, setTurns] = useState<Exchange[]>([]);
  const [busy, setBusy] = useState(false);
  const abort = useRef<AbortController>(undefined);
  const send = async (user: User, asked: Asked) => {
    const id = next++;
    const change = (f: (a: Said) => Said) => setTurns((all) => all.map((x) => (x.id === id ? { ...x, answer: f(x.answer) } : x)));
    setTurns((all) => [...all, { id, user, answer: { text: "", calls: [] } }]);
    setBusy(true);
    const mine = (abort.current = new AbortController());
    const began = performance.now();
    const at = new Date();
    let requestId: string | undefined;
    try {
      const { m, c } = await runtime();
      const r = await c.send(new m.ConverseStreamCommand(asked), { abortSignal: mine.signal });
      requestId = r.$metadata.requestId;
      for await (const e of r.stream!) change((a) => ({ ...a, ...fold(a, e), first: a.first ?? (e.contentBlockDelta ? Math.round(performance.now() - began) : undefined) }));
      change((a) => ({ ...a, total: Math.round(performance.now() - began) }));
    } catch (e) {
      if (mine.signal.aborted) change((a) => ({ ...a, stopped: true }));
      else {
        noteError(e);
        requestId ??= (e as { $metadata?: { requestId?: string } }).$metadata?.requestId;
        change((a) => ({ ...a, error: e }));
      }
    } finally {
      setBusy(false);
    }
    if (requestId) {
      const record = await ofRequest(requestId, "ConverseStream", at).catch(() => undefined);
      change((a) => ({ ...a, record: record ?? "unknown" }));
    }
  };
  return { turns, busy, send, stop: () => abort.current?.abort(), clear: () => setTurns([]) };
}
export type Chat = ReturnType<typeof useChat>;
