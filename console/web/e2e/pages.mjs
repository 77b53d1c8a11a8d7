// Every page, and what is done on it before it is looked at.
import { profile } from "./seed.mjs";

const e = encodeURIComponent;

export const list = (made) => [
  ["overview", "/"],
  ["machines", "/state-machines"],
  ["create", "/state-machines/create"],
  ["machine", "/state-machines/" + e(made.machine)],
  ["succeeded", "/executions/" + e(made.succeeded) + "?state=Summarize"],
  ["failed", "/executions/" + e(made.failed)],
  ["running", "/executions/" + e(made.running)],
  ["models", "/models"],
  ["profiles", "/profiles"],
  ["profile", "/profiles/" + e(profile)],
  ["playground", "/playground?model=" + e(profile)],
  ["events", "/events"],
  ["signin", "/"],
  ["lost", "/no-such-page"],
];
