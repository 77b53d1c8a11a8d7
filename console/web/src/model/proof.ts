// Proofs of the log, checked here: of what the server says nothing is believed but which keys
// there are. What is checked is what `tokaido trail verify --proof` checks: that the record shown
// is the one that was hashed, that its hash is in the tree that the checkpoint signs, and that the
// Region's key signed its receipt.

export type PublicKey = { PublicKey?: string; Use?: string; Region?: string; Source?: string };
export type Receipt = { Region?: string; KeyName?: string; SignedText?: string; Signature?: string };
export type EventProof = { EventId?: string; EventSequence?: number; Status?: string; Reason?: string; Proof?: string; RecordHash?: string; LeafHash?: string; RecordsRead?: number; RecordsToRead?: number; Receipt?: Receipt; ReceiptProblem?: string };
export type ConsistencyProof = { EarlierRecords?: number; Status?: string; Reason?: string; Proof?: string; RecordsRead?: number; RecordsToRead?: number };
export type Standing = { Checkpoint?: string; CheckpointIntervalSeconds?: number; PublicKeys?: PublicKey[]; EventProof?: EventProof; ConsistencyProof?: ConsistencyProof };

// What can be wrong, each with a text of its own.
export type Why = "noProof" | "form" | "noteKey" | "noteSignature" | "otherRecord" | "otherPlace" | "notInTree" | "notGrown" | "otherLog" | "receiptForm" | "receiptKey" | "receiptOther" | "receiptRegion" | "receiptSignature" | "receiptNoted";

export class Bad extends Error {
  readonly why: Why;
  readonly what: string;
  constructor(why: Why, what = "") {
    super(why + (what && ": " + what));
    this.why = why;
    this.what = what;
  }
}

const subtle = () => globalThis.crypto?.subtle as SubtleCrypto | undefined;
let able: Promise<boolean> | undefined;

// canCheck reports whether this browser can check Ed25519 signatures. Where a page did not come
// over HTTPS or from this machine, browsers have no cryptography at all.
export function canCheck(): Promise<boolean> {
  able ??= (async () => {
    try {
      await subtle()!.importKey("raw", new Uint8Array(32), { name: "Ed25519" }, false, ["verify"]);
      return true;
    } catch {
      return false;
    }
  })();
  return able;
}

type Bytes = Uint8Array<ArrayBuffer>;
const encoder = new TextEncoder();

async function sha256(...parts: Bytes[]): Promise<Bytes> {
  const all = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) {
    all.set(p, at);
    at += p.length;
  }
  return new Uint8Array(await subtle()!.digest("SHA-256", all));
}

export const hex = (b: Uint8Array) => Array.from(b, (x) => x.toString(16).padStart(2, "0")).join("");
export const base64 = (b: Uint8Array) => btoa(Array.from(b, (x) => String.fromCharCode(x)).join(""));
const same = (a: Uint8Array, b: Uint8Array) => a.length === b.length && a.every((x, i) => x === b[i]);

// fromBase64 takes one spelling of each value: no spaces, no bits that stand for nothing.
function fromBase64(s: string): Bytes | undefined {
  try {
    const b = Uint8Array.from(atob(s), (c) => c.charCodeAt(0));
    return base64(b) === s ? b : undefined;
  } catch {
    return undefined;
  }
}

export type Key = { id: string; name: string; text: string; peer: boolean; verify: (text: string, signature: Bytes) => Promise<boolean> };
export type Ring = ReadonlyMap<string, Key>;

const ed25519 = 1; // the kind of key, in a signed note's key

// ring reads public keys as C2SP signed notes write them, NAME+HASH+BASE64. What is none is left out.
export async function ring(keys: readonly PublicKey[]): Promise<Ring> {
  const out = new Map<string, Key>();
  for (const k of keys) {
    const [, name, hash, data] = /^([^+\s]+)\+([0-9a-f]{8})\+(\S+)$/.exec(k.PublicKey ?? "") ?? [];
    const b = data && fromBase64(data);
    if (!name || !b || b.length !== 33 || b[0] !== ed25519) continue;
    if (hex((await sha256(encoder.encode(name + "\n"), b)).slice(0, 4)) !== hash) continue;
    const key = await subtle()!.importKey("raw", b.slice(1), { name: "Ed25519" }, false, ["verify"]);
    const id = `${name}+${hash}`;
    out.set(id, { id, name, text: k.PublicKey!, peer: k.Source !== "NODE", verify: (text, signature) => subtle()!.verify({ name: "Ed25519" }, key, signature, encoder.encode(text)) });
  }
  return out;
}

export type Checkpoint = { origin: string; records: number; root: Bytes; time: Date; key: Key; note: string };

// openCheckpoint reads a checkpoint and checks that the log's own key signed it.
export async function openCheckpoint(note: string, keys: Ring): Promise<Checkpoint> {
  const end = note.lastIndexOf("\n\n");
  const text = note.slice(0, end + 1);
  const lines = text.split("\n");
  const [origin, records, rootText, chain, time] = lines as [string, ...(string | undefined)[]];
  const root = rootText && fromBase64(rootText);
  const at = new Date(/^time (\S+Z)$/.exec(time ?? "")?.[1] ?? NaN);
  if (end < 0 || !origin || !/^(0|[1-9]\d{0,14})$/.test(records ?? "") || !root || root.length !== 32 || !/^chain [0-9a-f]{64}$/.test(chain ?? "") || Number.isNaN(at.getTime())) throw new Bad("form");
  let wrong = false;
  for (const line of note.slice(end + 2).split("\n")) {
    const [, name, data] = /^\u2014 (\S+) (\S+)$/.exec(line) ?? [];
    const b = data && fromBase64(data);
    if (!name || !b || name !== origin || b.length !== 4 + 64) continue;
    const key = keys.get(`${name}+${hex(b.slice(0, 4))}`);
    if (!key || key.peer) continue;
    if (await key.verify(text, b.slice(4))) return { origin, records: Number(records), root, time: at, key, note };
    wrong = true;
  }
  throw new Bad(wrong ? "noteSignature" : "noteKey", origin);
}

const leafOf = (hash: Bytes) => sha256(Uint8Array.of(0), hash);
const nodeOf = (left: Bytes, right: Bytes) => sha256(Uint8Array.of(1), left, right);
const half = (n: number) => Math.floor(n / 2); // sizes may have more than 32 bits
const odd = (n: number) => n % 2 === 1;

// included reports whether a leaf is at its place in the tree of so many leaves: RFC 9162, 2.1.3.2.
export async function included(leaf: Bytes, index: number, size: number, path: readonly Bytes[], root: Bytes): Promise<boolean> {
  if (index < 0 || index >= size) return false;
  let fn = index;
  let sn = size - 1;
  let r = leaf;
  for (const p of path) {
    if (sn === 0) return false;
    if (odd(fn) || fn === sn) {
      r = await nodeOf(p, r);
      while (!odd(fn) && fn !== 0) {
        fn = half(fn);
        sn = half(sn);
      }
    } else r = await nodeOf(r, p);
    fn = half(fn);
    sn = half(sn);
  }
  return sn === 0 && same(r, root);
}

// grown reports whether the tree of second leaves begins with that of first: RFC 9162, 2.1.4.2.
export async function grown(first: number, firstRoot: Bytes, second: number, secondRoot: Bytes, path: readonly Bytes[]): Promise<boolean> {
  if (first === second) return path.length === 0 && same(firstRoot, secondRoot);
  if (first <= 0 || first > second) return false;
  let fn = first - 1;
  let sn = second - 1;
  while (odd(fn)) {
    fn = half(fn);
    sn = half(sn);
  }
  const all = fn === 0 ? [firstRoot, ...path] : [...path]; // a whole subtree is its own proof
  if (all.length === 0) return false;
  let fr = all[0]!;
  let sr = all[0]!;
  for (const c of all.slice(1)) {
    if (sn === 0) return false;
    if (odd(fn) || fn === sn) {
      fr = await nodeOf(c, fr);
      sr = await nodeOf(c, sr);
      while (!odd(fn) && fn !== 0) {
        fn = half(fn);
        sn = half(sn);
      }
    } else sr = await nodeOf(sr, c);
    fn = half(fn);
    sn = half(sn);
  }
  return sn === 0 && same(fr, firstRoot) && same(sr, secondRoot);
}

const hashes = (lines: readonly string[]) =>
  lines.map((l) => {
    const b = fromBase64(l);
    if (!b || b.length !== 32) throw new Bad("form");
    return b;
  });

export type InLog = { record: number; checkpoint: Checkpoint; hash: Bytes };

// inLog checks a proof as `tokaido trail prove` makes it: that the record in it is in the log, and
// is the one that CloudTrail shows.
export async function inLog(proof: string, shown: string, keys: Ring): Promise<InLog> {
  const [, data, index, path, note] = /^tokaido record proof v1\nrecord (\S+)\n\nc2sp\.org\/tlog-proof@v1\nindex (\d{1,15})\n((?:\S+\n)*)\n([^]+)$/.exec(proof) ?? [];
  const payload = data && fromBase64(data);
  if (!payload || index === undefined || note === undefined) throw new Bad("form");
  let stored: any;
  let event: any;
  try {
    stored = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload));
    event = JSON.parse(shown);
  } catch {
    throw new Bad("form");
  }
  const record = Number(index) + 1;
  if (stored?.seq !== record) throw new Bad("otherPlace", String(record));
  const differs = difference(cloudTrail(stored.r ?? {}), event);
  if (differs !== undefined) throw new Bad("otherRecord", differs);
  const checkpoint = await openCheckpoint(note, keys);
  const hash = await sha256(payload);
  if (!(await included(await leafOf(hash), record - 1, checkpoint.records, hashes(path!.split("\n").slice(0, -1)), checkpoint.root))) throw new Bad("notInTree");
  return { record, checkpoint, hash };
}

// grewFrom checks a proof that the log still has all that it had at a checkpoint that was kept.
export async function grewFrom(proof: string, since: Checkpoint, keys: Ring): Promise<Checkpoint> {
  const [, old, path, note] = /^tokaido growth proof v1\nold (\d{1,15})\n((?:\S+\n)*)\n([^]+)$/.exec(proof) ?? [];
  if (old === undefined || Number(old) !== since.records) throw new Bad("form");
  const now = await openCheckpoint(note!, keys);
  if (now.origin !== since.origin) throw new Bad("otherLog", since.origin);
  if (!(await grown(since.records, since.root, now.records, now.root, hashes(path!.split("\n").slice(0, -1))))) throw new Bad("notGrown");
  return now;
}

const whole = (s: string | undefined) => s?.replace(/\.\d+Z$/, "Z"); // CloudTrail's times are to the second

// cloudTrail is a stored record as CloudTrail prints it; what is empty has no member.
function cloudTrail(r: any): unknown {
  const id = r.identity ?? {};
  const from = id.issuer;
  const data = r.source === "s3.amazonaws.com" && !["GetBucketLocation", "HeadBucket", "ListBuckets"].includes(r.name);
  return {
    eventVersion: "1.11",
    userIdentity:
      id.type === "AWSService"
        ? { type: id.type, invokedBy: id.invokedBy }
        : {
            type: id.type ?? "",
            principalId: id.principalId,
            arn: id.arn,
            accountId: id.account,
            accessKeyId: id.accessKey,
            userName: id.user,
            sessionContext: id.issued && {
              sessionIssuer: from && { type: from.type, principalId: from.principalId, arn: from.arn, accountId: from.account, userName: from.user },
              attributes: { creationDate: whole(id.issued), mfaAuthenticated: "false" },
            },
            invokedBy: id.invokedBy,
          },
    eventTime: whole(r.time),
    eventSource: r.source ?? "",
    eventName: r.name ?? "",
    awsRegion: r.region ?? "",
    sourceIPAddress: r.sourceIP ?? "",
    userAgent: r.userAgent,
    errorCode: r.errorCode,
    errorMessage: r.errorMessage,
    requestParameters: r.parameters ?? null,
    responseElements: r.response ?? null,
    additionalEventData: r.execution || r.state ? { ...r.additional, executionArn: r.execution, state: r.state } : r.additional,
    requestID: r.request,
    eventID: r.id ?? "",
    readOnly: r.readOnly === true,
    resources: r.resources?.map((x: any) => ({ accountId: r.account, type: x.type, ARN: x.name ?? "" })),
    eventType: "AwsApiCall",
    managementEvent: !data,
    recipientAccountId: r.account,
    eventCategory: data ? "Data" : "Management",
    tlsDetails: r.host && r.tls ? { clientProvidedHostHeader: r.host } : undefined,
  };
}

// difference is where two documents are not the same; undefined where they are.
export function difference(a: any, b: any, at = ""): string | undefined {
  if (a === b) return undefined;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null || Array.isArray(a) !== Array.isArray(b)) return at || "/";
  for (const k of new Set([...Object.keys(a), ...Object.keys(b)])) {
    const d = difference(a[k], b[k], at + "/" + k);
    if (d !== undefined) return d;
  }
  return undefined;
}

export type Receipted = { state: "verified" | "none" | "bad"; why?: Why; what?: string; region?: string; key?: Key; request?: string; response?: string; time?: Date };

const digest = (s: unknown) => /^sha256:([0-9a-f]{64})$/.exec(String(s))?.[1];

// receipt checks the receipt that a record carries, as CloudTrail prints it: that it is of this call
// and of the Region that the record names, and that the Region's key signed it.
export async function receipt(shown: string, keys: Ring): Promise<Receipted> {
  let event: any;
  try {
    event = JSON.parse(shown);
  } catch {
    return { state: "none" };
  }
  const more = event.additionalEventData ?? {};
  const r = more.receipt;
  const noted = typeof more.receiptProblem === "string" ? more.receiptProblem : undefined;
  if (r === undefined) return { state: "none", what: noted };
  const lines = [r?.requestId, r?.region, r?.model, digest(r?.requestDigest), digest(r?.responseDigest), r?.time];
  const signature = typeof r?.signature === "string" ? fromBase64(r.signature) : undefined;
  const bad = (why: Why, what?: string): Receipted => ({ state: "bad", why, what, region: typeof r?.region === "string" ? r.region : undefined });
  if (lines.some((l) => typeof l !== "string" || l === "" || /[\n\r]/.test(l)) || !signature) return bad("receiptForm");
  if (r.requestId !== event.requestID && r.requestId !== more.servedRequestId) return bad("receiptOther", r.requestId);
  if (r.region !== more.inferenceRegion) return bad("receiptRegion", r.region);
  const key = keys.get(r.key);
  if (!key || !key.name.endsWith("/region/" + r.region)) return bad("receiptKey", String(r.key));
  if (!(await key.verify(["tokaido receipt v1", ...lines].join("\n") + "\n", signature))) return bad("receiptSignature", key.id);
  if (noted) return bad("receiptNoted", noted); // what was compared where the answer arrived cannot be compared here
  return { state: "verified", region: r.region, key, request: lines[3], response: lines[4], time: new Date(r.time) };
}

const atOnce = 64; // signatures, between which the page can be drawn

// receipts checks those of many records, and tells how far it has come.
export async function receipts<T extends { json: string }>(records: readonly T[], keys: Ring, progress: (done: number) => void, signal: AbortSignal): Promise<Map<T, Receipted>> {
  const out = new Map<T, Receipted>();
  for (let i = 0; i < records.length; i += atOnce) {
    const some = records.slice(i, i + atOnce);
    const got = await Promise.all(some.map((r) => receipt(r.json, keys)));
    some.forEach((r, j) => out.set(r, got[j]!));
    progress(out.size);
    await new Promise((go) => setTimeout(go));
    signal.throwIfAborted();
  }
  return out;
}
