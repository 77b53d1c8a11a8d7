import type en from "./en";

// Dict is what every language has to say.
export type Dict = { [K in keyof typeof en]: string };
