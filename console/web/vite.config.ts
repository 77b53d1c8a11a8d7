import { defineConfig, type Plugin } from "vitest/config";
import react from "@vitejs/plugin-react";
import { gzipSync } from "node:zlib";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";

const out = "../embed/app";

// Limits of what a browser has to load, in bytes after gzip; the build fails above them.
const budget: Record<string, number> = { total: 1_000_000, editor: 150_000, index: 250_000, css: 240_000 };

// The binary embeds .gz files only. In closeBundle, not generateBundle: Vite still rewrites
// preload placeholders in the chunks after that.
function pack(): Plugin {
  return {
    name: "pack",
    apply: "build",
    closeBundle() {
      let total = 0;
      for (const f of readdirSync(out, { recursive: true, withFileTypes: true })) {
        const p = `${f.parentPath}/${f.name}`;
        if (!f.isFile() || !/\.(js|css|svg|json)$/.test(f.name)) continue;
        const gz = gzipSync(readFileSync(p), { level: 9 });
        writeFileSync(p + ".gz", gz);
        rmSync(p);
        total += gz.length;
        for (const [name, most] of Object.entries(budget)) {
          const is = name === "css" ? f.name.endsWith(".css") : f.name.startsWith(name + "-") && f.name.endsWith(".js");
          if (is && gz.length > most) throw new Error(`${f.name} is ${gz.length} bytes after gzip; the budget is ${most}`);
        }
      }
      if (total > budget.total!) throw new Error(`the app is ${total} bytes after gzip; the budget is ${budget.total}`);
      console.log(`packed: ${total} bytes`);
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
            { name: "react", test: /node_modules\/(react|react-dom|scheduler)\// },
            { name: "aws-core", test: /node_modules\/(@smithy|@aws-sdk\/(?!client-)|@aws-crypto|@aws\/)/ },
            { name: "editor", test: /node_modules\/(@codemirror|@lezer)/ },
          ],
        },
      },
    },
  },
  test: { environment: "jsdom", include: ["test/**/*.test.{ts,tsx}"], server: { deps: { inline: [/@cloudscape-design/] } }, css: false },
  server: { proxy: { "^/(?!console/(?!signin|federation))": { target: process.env.ENDPOINT ?? "http://127.0.0.1:4566", changeOrigin: false } } },
});
