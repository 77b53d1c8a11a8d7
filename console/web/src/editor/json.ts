// Changing a JSON text in place: what is not changed keeps its formatting, its order and its digits.
export type Path = readonly (string | number)[];
export type Node = { from: number; to: number; members?: Member[]; items?: Node[] };
export type Member = { key: string; from: number; to: number; value: Node }; // from, to: of the key, quotes included

const maxDepth = 500;

// scan reads a text into nodes that know where they stand. It throws where JSON.parse would.
export function scan(text: string): Node {
  JSON.parse(text); // the judge of what is JSON
  let i = 0;
  const space = () => {
    while (i < text.length && /\s/.test(text[i]!)) i++;
  };
  const string = () => {
    i++;
    while (text[i] !== '"') i += text[i] === "\\" ? 2 : 1;
    i++;
  };
  const value = (depth: number): Node => {
    if (depth > maxDepth) throw new SyntaxError("nested too deeply");
    space();
    const from = i;
    if (text[i] === "{") {
      const members: Member[] = [];
      i++;
      for (space(); text[i] !== "}"; space()) {
        if (text[i] === ",") {
          i++;
          space();
        }
        const k = i;
        string();
        const to = i;
        space();
        i++; // the colon
        members.push({ key: JSON.parse(text.slice(k, to)) as string, from: k, to, value: value(depth + 1) });
      }
      i++;
      return { from, to: i, members };
    }
    if (text[i] === "[") {
      const items: Node[] = [];
      i++;
      for (space(); text[i] !== "]"; space()) {
        if (text[i] === ",") i++;
        items.push(value(depth + 1));
      }
      i++;
      return { from, to: i, items };
    }
    if (text[i] === '"') string();
    else while (i < text.length && !/[\s,\]}]/.test(text[i]!)) i++;
    return { from, to: i };
  };
  return value(0);
}

const child = (n: Node | undefined, k: string | number): Node | undefined => (typeof k === "number" ? n?.items?.[k] : n?.members?.findLast((m) => m.key === k)?.value);

export function at(root: Node, path: Path): Node | undefined {
  let n: Node | undefined = root;
  for (const k of path) n = child(n, k);
  return n;
}

const indentAt = (text: string, pos: number) => /^[ \t]*/.exec(text.slice(text.lastIndexOf("\n", pos - 1) + 1))![0];

// unit is what one level of a text is indented by.
function unit(text: string): string {
  const m = /\n([ \t]+)"/.exec(text);
  return m ? m[1]! : "  ";
}

// write is a value as it would stand at an indentation.
function write(text: string, v: unknown, indent: string): string {
  return JSON.stringify(v, null, unit(text)).replace(/\n/g, "\n" + indent);
}

const splice = (text: string, from: number, to: number, by: string) => text.slice(0, from) + by + text.slice(to);

// set puts a value at a path; what leads there must exist. An undefined value removes.
export function set(text: string, path: Path, v: unknown): string {
  if (v === undefined) return remove(text, path);
  const root = scan(text);
  const had = at(root, path);
  if (had) {
    const old = text.slice(had.from, had.to);
    const compact = (had.members || had.items) && !old.includes("\n") && old.length > 2;
    return splice(text, had.from, had.to, compact ? JSON.stringify(v) : write(text, v, indentAt(text, had.from)));
  }
  const parent = at(root, path.slice(0, -1));
  const key = path.at(-1)!;
  if (!parent || (typeof key === "string" ? !parent.members : !parent.items || key !== parent.items.length)) throw new Error(`nothing at ${path.slice(0, -1).join("/")}`);
  const before = parent.members?.at(-1) ?? parent.items?.at(-1);
  const label = typeof key === "string" ? JSON.stringify(key) + ": " : "";
  const outer = indentAt(text, parent.from);
  if (!before) {
    const inner = outer + unit(text);
    return splice(text, parent.from + 1, parent.to - 1, `\n${inner}${label}${write(text, v, inner)}\n${outer}`);
  }
  const end = "value" in before ? before.value.to : before.to;
  const first = (parent.members?.[0] ?? parent.items?.[0])!;
  if (!text.slice(parent.from, first.from).includes("\n")) return splice(text, end, end, `, ${label}${JSON.stringify(v)}`);
  const inner = indentAt(text, first.from);
  return splice(text, end, end, `,\n${inner}${label}${write(text, v, inner)}`);
}

// remove takes what is at a path out, with its comma.
export function remove(text: string, path: Path): string {
  const parent = at(scan(text), path.slice(0, -1));
  const key = path.at(-1)!;
  const list: { from: number; to: number }[] = parent?.members?.map((m) => ({ from: m.from, to: m.value.to })) ?? parent?.items ?? [];
  const i = typeof key === "number" ? key : (parent?.members?.findLastIndex((m) => m.key === key) ?? -1);
  const it = list[i];
  if (!parent || !it) return text;
  if (list.length === 1) return splice(text, parent.from + 1, parent.to - 1, "");
  const next = list[i + 1];
  return next ? splice(text, it.from, next.from, "") : splice(text, list[i - 1]!.to, it.to, "");
}

// rename gives a member another key, in its place.
export function rename(text: string, path: Path, key: string): string {
  const m = at(scan(text), path.slice(0, -1))?.members?.findLast((x) => x.key === path.at(-1));
  return m ? splice(text, m.from, m.to, JSON.stringify(key)) : text;
}

const object = (v: unknown): v is Record<string, unknown> => typeof v === "object" && v !== null && !Array.isArray(v);

// update makes what is at a path equal to a value, by changing only what differs.
export function update(text: string, path: Path, v: unknown): string {
  const n = at(scan(text), path);
  const old = n && (JSON.parse(text.slice(n.from, n.to)) as unknown);
  if (n && JSON.stringify(old) === JSON.stringify(v)) return text;
  if (Array.isArray(old) && Array.isArray(v)) {
    for (let i = old.length - 1; i >= v.length; i--) text = remove(text, [...path, i]);
    v.forEach((x, i) => (text = i < old.length ? update(text, [...path, i], x) : set(text, [...path, i], x)));
    return text;
  }
  if (!object(old) || !object(v)) return set(text, path, v);
  for (const k of Object.keys(old)) if (v[k] === undefined) text = remove(text, [...path, k]);
  for (const [k, x] of Object.entries(v)) if (x !== undefined) text = update(text, [...path, k], x);
  return text;
}
