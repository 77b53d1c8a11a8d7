// What a browser remembers of its user: language, mode, Region. Never a credential.
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
