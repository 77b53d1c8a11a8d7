import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, expect, it } from "vitest";

// What a module imports of the console's own, by whatever way.
const files = readdirSync("src", { recursive: true, encoding: "utf8" }).filter((f) => /\.tsx?$/.test(f) && !f.endsWith(".d.ts"));
const names = new Set(files);
const imports = (file: string) =>
  [...readFileSync(join("src", file), "utf8").matchAll(/(?:from |import\(|^import )"(\.[^"]*)"/gm)]
    .map((m) => normalize(join(dirname(file), m[1]!)))
    .flatMap((p) => [p, p + ".ts", p + ".tsx", join(p, "index.ts"), join(p, "index.tsx")].filter((q) => names.has(q)).slice(0, 1));

describe("imports", () => {
  it("lead in no circle, types and parts that come later included", () => {
    const done = new Set<string>();
    const open: string[] = [];
    const circles: string[] = [];
    const visit = (f: string) => {
      if (open.includes(f)) circles.push([...open.slice(open.indexOf(f)), f].join(" → "));
      if (done.has(f) || open.includes(f)) return;
      open.push(f);
      imports(f).forEach(visit);
      open.pop();
      done.add(f);
    };
    files.forEach(visit);
    expect(done.size).toBeGreaterThan(80);
    expect(circles).toEqual([]);
  });
  it("load no part with React.lazy, which waits where later does not", () => {
    expect(files.filter((f) => /\blazy\(|<Suspense/.test(readFileSync(join("src", f), "utf8")))).toEqual([]);
  });
});
