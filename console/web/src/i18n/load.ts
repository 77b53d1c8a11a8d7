// The texts of a language, which come while the app does.
import type { Dict } from "./dict";
import { savedLocale } from "../app/prefs";

export type Locale = "en" | "ja";
export type Loaded = { locale: Locale; dict: Dict; messages: any }; // messages: Cloudscape's

const loaders: Record<Locale, () => Promise<[{ default: Dict }, { default: unknown }]>> = {
  en: () => Promise.all([import("./en"), import("@cloudscape-design/components/i18n/messages/all.en")]),
  ja: () => Promise.all([import("./ja"), import("@cloudscape-design/components/i18n/messages/all.ja")]),
};
const here = new Map<Locale, Loaded>();

export async function load(locale: Locale): Promise<Loaded> {
  const known = here.get(locale);
  if (known) return known;
  const [dict, messages] = await loaders[locale]();
  const all = { locale, dict: dict.default, messages: messages.default };
  here.set(locale, all);
  return all;
}

// loaded is what load gave.
export const loaded = (locale: Locale) => here.get(locale);

export function initialLocale(): Locale {
  const s = savedLocale();
  if (s === "en" || s === "ja") return s;
  return navigator.languages.some((l) => l.startsWith("ja")) ? "ja" : "en";
}
