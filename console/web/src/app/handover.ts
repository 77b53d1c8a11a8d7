// A definition on its way from one page to the next: taken once.
let held: string | undefined;

export const hand = (definition: string) => void (held = definition);

export function taken(): string | undefined {
  const d = held;
  held = undefined;
  return d;
}
