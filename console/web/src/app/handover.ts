// A definition on its way from one page to the next: it is the browser's history that holds it, so
// that a page may be rendered as often as React likes, and reloaded.
export const withDefinition = (definition: string) => ({ state: { definition } });

export function handed(): string | undefined {
  const d: unknown = (history.state as { definition?: unknown } | null)?.definition;
  return typeof d === "string" ? d : undefined;
}
