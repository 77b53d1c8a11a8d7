// What a browser remembers of its user: language, mode, Region, time zone, and how tables are
// shown. Never a credential, and nothing of what was looked at.
const get = (k: string) => {
  try {
    return localStorage.getItem("tokaido." + k);
  } catch {
    return null; // storage may be forbidden
  }
};
const set = (k: string, v: string) => {
  try {
    localStorage.setItem("tokaido." + k, v);
  } catch {
    // then it is forgotten
  }
};

export const initialDark = () => (get("mode") ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
export const saveDark = (dark: boolean) => set("mode", dark ? "dark" : "light");
export const initialRegion = () => get("region") ?? "ap-northeast-1";
export const saveRegion = (r: string) => set("region", r);
export const savedLocale = () => get("locale");
export const saveLocale = (l: string) => set("locale", l);

export type Zone = "local" | "utc";
export const initialZone = (): Zone => (get("zone") === "utc" ? "utc" : "local");
export const saveZone = (z: Zone) => set("zone", z);

// recall is what was remembered under a name, and remember puts it there. What it is is checked
// by who asks: an older or newer console may have written it.
export function recall(name: string): Record<string, unknown> {
  try {
    const v: unknown = JSON.parse(get("view." + name) ?? "{}");
    return v && typeof v === "object" && !Array.isArray(v) ? (v as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
export const remember = (name: string, change: Record<string, unknown>) => set("view." + name, JSON.stringify({ ...recall(name), ...change }));
