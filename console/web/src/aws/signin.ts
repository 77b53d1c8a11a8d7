// Signing in: by a one-time link, by an access key, or at a development server.
import { begin, type Credentials, type Session } from "./session";
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

// fragment takes a one-time token out of the address, so that it is in no history and no copy of it.
export function fragment(): { token?: string; issuer?: string } {
  const q = new URLSearchParams(location.hash.slice(1));
  const token = q.get("signin");
  if (!token) return {};
  history.replaceState(null, "", location.pathname + location.search);
  return { token, issuer: q.get("issuer") ?? undefined };
}

async function who(credentials: Credentials, how: Session["how"]): Promise<Session> {
  const m = await import("./api-sts");
  const r = await new m.Client(config(credentials, initialRegion())).send(new m.GetCallerIdentityCommand({}));
  return { credentials, arn: r.Arn ?? "", account: r.Account ?? "", how };
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
  begin(await who(credentials, "dev" in body ? "dev" : "link"));
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
  begin(await who(credentials, "keys"), k.keep);
}
