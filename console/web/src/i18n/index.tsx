import { createContext, useContext, useEffect, useMemo, useState, type ReactNode } from "react";
import { I18nProvider } from "@cloudscape-design/components/i18n";
import { initialZone, saveLocale, saveZone, type Zone } from "../app/prefs";
import type { Dict } from "./dict";
import { initialLocale, load, loaded, type Locale } from "./load";

export type { Locale };
export type Key = keyof Dict;
export type T = (k: Key, v?: Record<string, string | number>) => string;

type Ctx = { locale: Locale; setLocale: (l: Locale) => void; zone: Zone; setZone: (z: Zone) => void; t: T; time: (d: Date | undefined) => string; clock: (d: Date | undefined) => string; number: (n: number) => string };
const C = createContext<Ctx | null>(null);
export const useI18n = () => useContext(C)!;

export const fill = (text: string, v?: Record<string, string | number>) => text.replace(/\{(\w+)\}/g, (_, n: string) => String(v?.[n] ?? ""));

// once makes what is costly when it is first needed.
const once = <V,>(make: () => V) => {
  let v: V | undefined;
  return () => (v ??= make());
};

export function Localized({ children }: { children: ReactNode }) {
  const [locale, setLocale] = useState<Locale>(initialLocale);
  const [cur, setCur] = useState(() => loaded(locale));
  const [zone, setZone] = useState<Zone>(initialZone);
  useEffect(() => {
    let live = true;
    void load(locale).then((l) => live && setCur(l));
    saveLocale(locale);
    document.documentElement.lang = locale; // else Japanese may be shown with Chinese forms
    return () => void (live = false);
  }, [locale]);
  const value = useMemo<Ctx | null>(() => {
    if (!cur) return null;
    // Where it is not the clock on the wall, a time says so.
    const timeZone = zone === "utc" ? "UTC" : undefined;
    const mark = zone === "utc" ? " UTC" : "";
    const time = once(() => new Intl.DateTimeFormat(cur.locale, { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23", timeZone }));
    const clock = once(() => new Intl.DateTimeFormat(cur.locale, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23", timeZone }));
    const number = once(() => new Intl.NumberFormat(cur.locale));
    return {
      locale: cur.locale,
      setLocale,
      zone,
      setZone: (z) => {
        saveZone(z);
        setZone(z);
      },
      t: (k, v) => fill(cur.dict[k], v),
      time: (d) => (d ? time().format(d) + mark : "–"),
      clock: (d) => (d ? clock().format(d) : "–"),
      number: (n) => number().format(n),
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
