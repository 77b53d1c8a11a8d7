// Texts that only one page needs come with that page, in both languages.
import { useCallback } from "react";
import { fill, useI18n } from ".";

export type Texts<E> = { en: E; ja: { [K in keyof E]: string } };

// texts demands a Japanese text for every English one.
export const texts = <E extends Record<string, string>>(en: E, ja: { [K in keyof E]: string }): Texts<E> => ({ en, ja });

export type Say<E> = (k: keyof E, v?: Record<string, string | number>) => string;

export function useTexts<E extends Record<string, string>>(of: Texts<E>): Say<E> {
  const { locale } = useI18n();
  return useCallback((k, v) => fill(of[locale][k], v), [of, locale]);
}
