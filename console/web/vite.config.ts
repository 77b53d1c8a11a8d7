import { defineConfig, type Plugin } from "vitest/config";
import react from "@vitejs/plugin-react";
import { gzipSync } from "node:zlib";
import { resolve } from "node:path";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";

const out = "../embed/app";

// Limits of what a browser has to load, in bytes after gzip; the build fails above them.
// initial is what every page loads first.
const budget: Record<string, number> = { total: 1_000_000, initial: 250_000, boot: 10_000, kit: 110_000, editor: 150_000, css: 240_000 };
const initial = /^(boot|app|react|rolldown-runtime)-.*\.js$/;

// The binary embeds .gz files only. In closeBundle, not generateBundle: Vite still rewrites
// preload placeholders in the chunks after that.
function pack(): Plugin {
  return {
    name: "pack",
    apply: "build",
    closeBundle() {
      const sum = { total: 0, initial: 0 };
      for (const f of readdirSync(out, { recursive: true, withFileTypes: true })) {
        const p = `${f.parentPath}/${f.name}`;
        if (!f.isFile() || !/\.(js|css|svg|json)$/.test(f.name)) continue;
        const gz = gzipSync(readFileSync(p), { level: 9 });
        writeFileSync(p + ".gz", gz);
        rmSync(p);
        sum.total += gz.length;
        if (initial.test(f.name)) sum.initial += gz.length;
        for (const [name, most] of Object.entries(budget)) {
          const is = name === "css" ? f.name.endsWith(".css") : f.name.startsWith(name + "-") && f.name.endsWith(".js");
          if (is && gz.length > most) throw new Error(`${f.name} is ${gz.length} bytes after gzip; the budget is ${most}`);
        }
      }
      for (const [name, is] of Object.entries(sum)) if (is > budget[name]!) throw new Error(`${name}: the app is ${is} bytes after gzip; the budget is ${budget[name]}`);
      console.log(`packed: ${sum.total} bytes, ${sum.initial} of script before any page`);
    },
  };
}

// Cloudscape's sheet holds eight faces of Open Sans, 17 kB each after gzip. What it asks for is
// 400 and 700; a browser slants the upright ones and takes the next weight for the rest.
const faces = (): Plugin => ({
  name: "faces",
  enforce: "pre",
  transform(code, id) {
    if (!/global-styles[\\/]index\.css/.test(id)) return;
    return { code: code.replace(/@font-face\s*\{[^}]*\}/g, (face) => (/font-weight:\s*[47]00;\s*font-style:\s*normal/.test(face) ? face : "")), map: null };
  },
});

// Which chunk a module belongs to: what the first script needs, what every page needs, and what
// several pages need are one file each, since a browser fetches six at a time from a server.
type Info = { getModuleInfo(id: string): { importedIds: readonly string[] } | null };
const closures = new Map<string, Set<string>>();
function closure(entry: string, ctx: Info): Set<string> {
  const known = closures.get(entry);
  if (known) return known;
  const all = new Set<string>();
  const open = [entry];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    if (all.has(id)) continue;
    all.add(id);
    open.push(...(ctx.getModuleInfo(id)?.importedIds ?? []));
  }
  closures.set(entry, all);
  return all;
}
const boot = resolve("src/boot.ts");
const main = resolve("src/main.tsx");
const inBoot = (id: string, ctx: Info) => (closure(boot, ctx).has(id) || /preload-helper|rolldown.runtime/.test(id) ? "boot" : null);
const inApp = (id: string, ctx: Info) => (closure(main, ctx).has(id) ? "app" : null);

export default defineConfig({
  base: "/console/",
  plugins: [react(), faces(), pack()],
  html: { cspNonce: "__CSP_NONCE__" },
  build: {
    outDir: out,
    emptyOutDir: true,
    target: "es2022",
    sourcemap: false,
    reportCompressedSize: false,
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    rollupOptions: {
      output: {
        codeSplitting: {
          groups: [
            { name: inBoot, priority: 4, debugName: "boot" },
            { name: "react", test: /node_modules\/(react|react-dom|scheduler)\//, priority: 3 },
            { name: "aws-core", test: /node_modules\/(@smithy|@aws-sdk\/(?!client-)|@aws-crypto|@aws\/)/, priority: 2 },
            { name: "editor", test: /node_modules\/(@codemirror|@lezer)/, priority: 2 },
            { name: inApp, priority: 1, debugName: "app" },
            { name: "kit", test: /node_modules\/@cloudscape-design|src\/(app|i18n|model|aws)\//, minShareCount: 4 },
          ],
        },
      },
    },
  },
  test: { environment: "jsdom", include: ["test/**/*.test.{ts,tsx}"], server: { deps: { inline: [/@cloudscape-design/] } }, css: false },
  server: { proxy: { "^/(?!console/(?!signin|federation))": { target: process.env.ENDPOINT ?? "http://127.0.0.1:4566", changeOrigin: false } } },
});
