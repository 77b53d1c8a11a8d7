import { createContext, useContext, useEffect, useMemo, useState, type ReactNode } from "react";
import { I18nProvider } from "@cloudscape-design/components/i18n";
import { initialZone, saveLocale, savedLocale, saveZone, type Zone } from "../app/prefs";
import type { Dict } from "./dict";
import en from "./en";

export type Locale = "en" | "ja";
export type Key = keyof typeof en;
export type T = (k: Key, v?: Record<string, string | number>) => string;

type Loaded = { locale: Locale; dict: Dict; messages: any };
const loaders: Record<Locale, () => Promise<Loaded>> = {
  en: async () => ({ locale: "en", dict: en, messages: (await import("@cloudscape-design/components/i18n/messages/all.en")).default }),
  ja: async () => {
    const [dict, messages] = await Promise.all([import("./ja"), import("@cloudscape-design/components/i18n/messages/all.ja")]);
    return { locale: "ja", dict: dict.default, messages: messages.default };
  },
};

type Ctx = { locale: Locale; setLocale: (l: Locale) => void; zone: Zone; setZone: (z: Zone) => void; t: T; time: (d: Date | undefined) => string; clock: (d: Date | undefined) => string; number: (n: number) => string };
const C = createContext<Ctx | null>(null);
export const useI18n = () => useContext(C)!;

export const fill = (text: string, v?: Record<string, string | number>) => text.replace(/\{(\w+)\}/g, (_, n: string) => String(v?.[n] ?? ""));

function initialLocale(): Locale {
  const s = savedLocale();
  if (s === "en" || s === "ja") return s;
  return navigator.languages.some((l) => l.startsWith("ja")) ? "ja" : "en";
}

export function Localized({ children }: { children: ReactNode }) {
  const [locale, setLocale] = useState<Locale>(initialLocale);
  const [cur, setCur] = useState<Loaded | null>(null);
  const [zone, setZone] = useState<Zone>(initialZone);
  useEffect(() => {
    let live = true;
    void loaders[locale]().then((l) => live && setCur(l));
    saveLocale(locale);
    document.documentElement.lang = locale; // else Japanese may be shown with Chinese forms
    return () => void (live = false);
  }, [locale]);
  const value = useMemo<Ctx | null>(() => {
    if (!cur) return null;
    // Where it is not the clock on the wall, a time says so.
    const timeZone = zone === "utc" ? "UTC" : undefined;
    const mark = zone === "utc" ? " UTC" : "";
    const time = new Intl.DateTimeFormat(cur.locale, { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23", timeZone });
    const clock = new Intl.DateTimeFormat(cur.locale, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23", timeZone });
    const number = new Intl.NumberFormat(cur.locale);
    return {
      locale: cur.locale,
      setLocale,
      zone,
      setZone: (z) => {
        saveZone(z);
        setZone(z);
      },
      t: (k, v) => fill(cur.dict[k], v),
      time: (d) => (d ? time.format(d) + mark : "–"),
      clock: (d) => (d ? clock.format(d) : "–"),
      number: (n) => number.format(n),
    };
  }, [cur, zone]);
  if (!cur || !value) return null;
  return (
    <C.Provider value={value}>
      <I18nProvider locale={cur.locale} messages={[cur.messages]}>
        {children}
      </I18nProvider>
    </C.Provider>
  );
}
