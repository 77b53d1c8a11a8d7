// Records side by side: one line for each member that any of them has.
export type Row = { path: string; values: (string | undefined)[]; differs: boolean };

const flat = (v: unknown, path: string, out: Map<string, string>) => {
  if (v && typeof v === "object" && Object.keys(v).length > 0) for (const [k, x] of Object.entries(v)) flat(x, path ? `${path}.${k}` : k, out);
  else out.set(path, typeof v === "string" ? v : JSON.stringify(v));
};

export function compare(documents: readonly string[]): Row[] {
  const all = documents.map((d) => {
    const m = new Map<string, string>();
    try {
      flat(JSON.parse(d), "", m);
    } catch {
      m.set("", d);
    }
    return m;
  });
  const paths = [...new Set(all.flatMap((m) => [...m.keys()]))];
  return paths.map((path) => {
    const values = all.map((m) => m.get(path));
    return { path, values, differs: new Set(values).size > 1 };
  });
}
