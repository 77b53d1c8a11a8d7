// What DecodeAuthorizationMessage tells of a refusal, and what applies its fix.
export type Condition = { key: string; values: { items: { value: string }[] } };
export type Part = { part: string; region?: string; action: string; resource: string; allowed: boolean; explicit?: boolean; layer?: string; conditions: { items: Condition[] } };
export type Finding = { id?: string; severity?: string; policy?: string; text: string; textJa: string };
export type Fix = { layer: string; policy: string; arn?: string; owner?: string; new?: boolean; before?: string; after: string; diff: string };
export type Explanation = {
  principal: string;
  parts: Part[];
  findings: Finding[];
  fixes: Fix[];
  fixed: boolean;
  wider: { action: string; resource: string }[];
  notRecorded: string[];
  text: { en: string; ja: string };
};

// decoded reads DecodedMessage; undefined if it is another server's, without an explanation.
export function decoded(message: string | undefined): Explanation | undefined {
  try {
    return (JSON.parse(message ?? "") as { explanation?: Explanation }).explanation;
  } catch {
    return undefined;
  }
}

export type Line = { kind: "same" | "add" | "remove" | "head"; text: string };

// lines takes a unified diff apart; the names of the files are said elsewhere.
export const lines = (diff: string): Line[] =>
  diff
    .split("\n")
    .filter((l) => l !== "" && !/^(---|\+\+\+) |^\\/.test(l))
    .map((l) => ({ kind: l.startsWith("@@") ? "head" : l.startsWith("+") ? "add" : l.startsWith("-") ? "remove" : "same", text: l }));

// Target is what carries the policy that a fix changes.
export type Target =
  | { kind: "role" | "user" | "group"; name: string; policy: string }
  | { kind: "managed"; arn: string }
  | { kind: "trust"; role: string }
  | undefined; // IAM's API cannot change it: an organization's, a resource's, a session's

export function target(f: Fix): Target {
  const owner = /^arn:[^:]*:iam::\d+:(role|user|group)\/(?:.*\/)?([^/]+)$/.exec(f.owner ?? "");
  if (f.layer === "trust") return owner?.[1] === "role" ? { kind: "trust", role: owner[2]! } : undefined;
  if (f.layer !== "identity" && f.layer !== "boundary") return undefined;
  if (f.arn) return /^arn:[^:]*:iam::\d+:policy\//.test(f.arn) ? { kind: "managed", arn: f.arn } : undefined;
  if (!owner || f.layer !== "identity") return undefined;
  return { kind: owner[1] as "role", name: owner[2]!, policy: f.policy };
}

// same says whether two documents are one, whatever their white space.
export function same(a: string | undefined, b: string | undefined): boolean {
  try {
    return JSON.stringify(JSON.parse(a ?? "null")) === JSON.stringify(JSON.parse(b ?? "null"));
  } catch {
    return false;
  }
}

// entries are a part's condition keys as a simulation takes them.
export const entries = (p: Part) =>
  p.conditions.items
    .filter((c) => c.values.items.length > 0)
    .map((c) => ({
      ContextKeyName: c.key,
      ContextKeyType: c.values.items.length > 1 ? ("stringList" as const) : ("string" as const),
      ContextKeyValues: c.values.items.map((v) => v.value),
    }));
