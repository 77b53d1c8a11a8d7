// Who is signed in. Credentials live in this module's variable and nowhere else, unless the
// user asks that the tab keeps them; they are temporary ones always.
import { initialRegion, saveRegion } from "../app/prefs";

export type Credentials = { accessKeyId: string; secretAccessKey: string; sessionToken: string; expiration?: Date };
export type Session = { credentials: Credentials; arn: string; account: string; how: "link" | "keys" | "dev" };
export type State = { session: Session | null; ended?: "expired" | "out"; region: string };

const kept = "tokaido.session"; // in sessionStorage
const out = "tokaido.signed-out";

let state: State = { session: restore(), region: initialRegion() };
const listeners = new Set<() => void>();
const change = (s: State) => {
  state = s;
  for (const l of listeners) l();
};

export const current = () => state;
export const subscribe = (l: () => void) => {
  listeners.add(l);
  return () => void listeners.delete(l);
};

export function begin(session: Session, keep = false) {
  sessionStorage.removeItem(out);
  if (keep) sessionStorage.setItem(kept, JSON.stringify(session));
  change({ session, region: state.region });
}

export function end(why: "expired" | "out") {
  sessionStorage.removeItem(kept);
  if (why === "out") sessionStorage.setItem(out, "1");
  if (state.session) change({ session: null, ended: why, region: state.region });
}

// A user who signed out of a development server does not want to be signed in at once.
export const signedOut = () => sessionStorage.getItem(out) !== null;

export function setRegion(region: string) {
  saveRegion(region);
  change({ ...state, region });
}

function restore(): Session | null {
  try {
    const s = JSON.parse(sessionStorage.getItem(kept) ?? "null") as Session | null;
    if (!s) return null;
    if (s.credentials.expiration) s.credentials.expiration = new Date(s.credentials.expiration);
    if (s.credentials.expiration && s.credentials.expiration.getTime() < Date.now()) return null;
    return s;
  } catch {
    return null;
  }
}
