// services are the principals that a trust policy names, short enough for a table.
export function services(document: string | undefined): string[] {
  try {
    const st = [JSON.parse(document ?? "{}").Statement ?? []].flat() as { Effect?: string; Principal?: string | Record<string, string | string[]> }[];
    return [...new Set(st.filter((s) => s.Effect === "Allow").flatMap((s) => (typeof s.Principal === "string" ? [s.Principal] : Object.values(s.Principal ?? {}).flat())))];
  } catch {
    return [];
  }
}
