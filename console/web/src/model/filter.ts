// Filters of a list of events, as they stand in an address: f=errorCode!=AccessDenied, one for each.
export type Token = { propertyKey?: string; operator: string; value: string };
export type Filter = { operation: "and" | "or"; tokens: Token[] };

const form = /^(\w*)(!=|!:|>=|<=|=|:|>|<)([^]*)$/;
const most = 20; // tokens

// writeFilter puts a filter into an address, in place of what was there; members are names that
// stand for a filter of their own.
export function writeFilter(q: URLSearchParams, f: { operation: string; tokens: readonly { propertyKey?: string; operator: string; value: unknown }[] }, members: readonly string[]) {
  for (const m of ["f", "any", ...members]) q.delete(m);
  for (const t of f.tokens) q.append("f", `${t.propertyKey ?? ""}${t.operator}${String(t.value)}`);
  if (f.operation === "or" && f.tokens.length > 1) q.set("any", "1");
}

// readFilter is the filter of an address: of f, and of members that are named there (name=InvokeModel).
export function readFilter(q: URLSearchParams, members: readonly string[]): Filter {
  const tokens: Token[] = members.flatMap((propertyKey) => (q.get(propertyKey) ? [{ propertyKey, operator: "=", value: q.get(propertyKey)! }] : []));
  for (const s of q.getAll("f").slice(0, most)) {
    const m = form.exec(s);
    if (m) tokens.push({ ...(m[1] ? { propertyKey: m[1] } : {}), operator: m[2]!, value: m[3]! });
  }
  return { operation: q.get("any") === "1" ? "or" : "and", tokens };
}
