// The console's texts, read from its sources: they are object literals with a few types about them.
import { readFileSync } from "node:fs";

const source = (f) => readFileSync(new URL(`../src/i18n/${f}`, import.meta.url), "utf8");
const load = async (js) => (await import("data:text/javascript," + encodeURIComponent(js))).default;
const shell = {
  en: await load(source("en.ts")),
  ja: await load(source("ja.ts").replace(/^import type.*$/m, "").replace(/const ja: \w+/, "const ja")),
};
const cache = {};

// speaker gives the texts of a language: those of the shell, or of a page ("why:apply").
export async function speaker(locale, ...pages) {
  for (const p of pages)
    cache[p] ??= await load(source(`pages/${p}.ts`).replace(/^import .*$/m, "const texts = (en, ja) => ({ en, ja });"));
  return (key, v = {}) => {
    const [page, k] = key.includes(":") ? key.split(":") : ["", key];
    const text = page ? cache[page][locale][k] : shell[locale][k];
    if (text === undefined) throw new Error(`no text ${key} in ${locale}`);
    return text.replace(/\{(\w+)\}/g, (_, n) => String(v[n] ?? ""));
  };
}

// pattern is a text as a regular expression, with anything in place of its placeholders.
export const pattern = (text) => new RegExp(text.replace(/[.*+?^$()|[\]\\]/g, "\\$&").replace(/\{\w+\}/g, ".*"));
