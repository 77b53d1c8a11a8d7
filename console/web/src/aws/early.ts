// Calls that are made before the page that shows their answers has come.
import { current, subscribe } from "./session";

const freshMs = 5000; // what nobody took by then is asked anew

const made = new Map<string, { at: number; answer: Promise<unknown> }>();
subscribe(() => made.clear()); // nothing of one session or Region is shown in another

// early makes a call if somebody is signed in.
export function early<T>(key: string, call: () => Promise<T>) {
  if (!current().session || made.has(key)) return;
  const answer = call();
  answer.catch(() => {}); // told by who takes it
  made.set(key, { at: Date.now(), answer });
}

// taken gives the answer of the early call, once, else makes the call.
export function taken<T>(key: string, call: () => Promise<T>): Promise<T> {
  const m = made.get(key);
  made.delete(key);
  return m && Date.now() - m.at < freshMs ? (m.answer as Promise<T>) : call();
}
