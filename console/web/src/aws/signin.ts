// Signing in: by a one-time link, by an access key, or at a development server.
import { begin, current, signedOut, type Credentials } from "./session";
import { config } from "./clients";
import { initialRegion } from "../app/prefs";

export type Settings = { dev: boolean; version: string };

export function settings(): Settings {
  try {
    return JSON.parse(document.querySelector<HTMLMetaElement>('meta[name="console-settings"]')!.content) as Settings;
  } catch {
    return { dev: false, version: "" }; // Vite's own server
  }
}

export type Arrival = { token?: string; issuer?: string };

// fragment takes a one-time token out of the address, so that it is in no history and no copy of it.
function fragment(): Arrival {
  const q = new URLSearchParams(location.hash.slice(1));
  const token = q.get("signin");
  if (!token) return {};
  history.replaceState(null, "", location.pathname + location.search);
  return { token, issuer: q.get("issuer") ?? undefined };
}

export const arrival = fragment();

let entering: Promise<void> | undefined;

// enter begins at once what needs nobody's hand: signing in by the link, or at a development server.
export function enter(): Promise<void> | undefined {
  if (current().session) return undefined;
  if (arrival.token) entering = exchange({ token: arrival.token });
  else if (settings().dev && !signedOut()) entering = exchange({ dev: true });
  entering?.then(
    () => (entering = undefined),
    () => {}, // told by who takes it
  );
  return entering;
}

// entered is what enter began, for the one who waits for it.
export function entered(): Promise<void> | undefined {
  const e = entering;
  entering = undefined;
  return e;
}

// exchange asks the server for credentials: the only call of the console that is no AWS API.
export async function exchange(body: { token: string } | { dev: true }) {
  const r = await fetch("/console/signin", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  const got = (await r.json()) as { message?: string } & Record<string, string>;
  if (!r.ok) throw new Error(got.message ?? r.statusText);
  const credentials = {
    accessKeyId: got.accessKeyId!,
    secretAccessKey: got.secretAccessKey!,
    sessionToken: got.sessionToken!,
    expiration: new Date(got.expiration!),
  };
  begin({ credentials, arn: got.arn!, account: got.account!, how: "dev" in body ? "dev" : "link" });
}

export type Keys = { accessKeyId: string; secretAccessKey: string; sessionToken: string; role: string; keep: boolean };

// withKeys uses an access key once, for temporary credentials, and forgets it. Credentials that
// are temporary already are used as they are.
export async function withKeys(k: Keys) {
  const m = await import("./api-sts");
  const given = { accessKeyId: k.accessKeyId.trim(), secretAccessKey: k.secretAccessKey.trim(), sessionToken: k.sessionToken.trim() };
  const c = new m.Client(config({ ...given, sessionToken: given.sessionToken || (undefined as never) }, initialRegion()));
  let credentials: Credentials = given;
  if (k.role.trim() || !given.sessionToken) {
    const r = k.role.trim()
      ? await c.send(new m.AssumeRoleCommand({ RoleArn: k.role.trim(), RoleSessionName: "console" }))
      : await c.send(new m.GetSessionTokenCommand({}));
    const got = r.Credentials!;
    credentials = { accessKeyId: got.AccessKeyId!, secretAccessKey: got.SecretAccessKey!, sessionToken: got.SessionToken!, expiration: got.Expiration };
  }
  const who = await new m.Client(config(credentials, initialRegion())).send(new m.GetCallerIdentityCommand({}));
  begin({ credentials, arn: who.Arn ?? "", account: who.Account ?? "", how: "keys" }, k.keep);
}
