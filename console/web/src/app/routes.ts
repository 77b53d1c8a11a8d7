// The pages by their addresses. What one is made of and asks for first is fetched as soon as its
// address is known, while the app itself still comes.
import { aheadOfExecution, aheadOfMachine } from "../aws/reads";
import { current } from "../aws/session";
import { param, regionIn } from "./paths";

export const pages = {
  "/": () => import("../pages/Overview"),
  "/state-machines": () => import("../pages/Machines"),
  "/state-machines/create": () => import("../pages/CreateMachine"),
  "/compare": () => import("../pages/Compare"),
  "/models": () => import("../pages/Models"),
  "/profiles": () => import("../pages/Profiles"),
  "/playground": () => import("../pages/playground/Playground"),
  "/events": () => import("../pages/Events"),
  "/residency": () => import("../pages/Residency"),
  "/iam/simulator": () => import("../pages/iam/Simulator"),
  "/state-machines/:arn": () => import("../pages/Machine"),
  "/executions/:arn": () => import("../pages/Execution"),
  "/map-runs/:arn": () => import("../pages/MapRun"),
  "/profiles/:id": () => import("../pages/Profile"),
  "/iam/roles": () => import("../pages/iam/List"),
  "/iam/users": () => import("../pages/iam/List"),
  "/iam/policies": () => import("../pages/iam/List"),
  "/iam/roles/:name": () => import("../pages/iam/Entity"),
  "/iam/users/:name": () => import("../pages/iam/Entity"),
  "/iam/policies/:arn": () => import("../pages/iam/Policy"),
};

// The clients that pages use, by the first part of their addresses.
const stepFunctions = () => import("../aws/api-sfn");
const bedrock = () => import("../aws/api-bedrock");
const cloudTrail = () => import("../aws/api-cloudtrail");
const clients: Record<string, (() => Promise<unknown>)[]> = {
  "": [stepFunctions, cloudTrail, bedrock],
  "state-machines": [stepFunctions],
  executions: [stepFunctions],
  compare: [stepFunctions],
  "map-runs": [stepFunctions],
  models: [bedrock],
  profiles: [bedrock, cloudTrail],
  playground: [bedrock],
  events: [cloudTrail],
  residency: [cloudTrail],
  iam: [() => import("../aws/api-iam")],
};
const workbench = () => import("../editor/Workbench");

// page finds the page of an address.
export function page(path: string): keyof typeof pages | undefined {
  const is = path.replace(/\/+$/, "").split("/");
  const fits = (pattern: string) => {
    const want = pattern === "/" ? [""] : pattern.split("/");
    return want.length === is.length && want.every((w, i) => w === is[i] || (w.startsWith(":") && is[i] !== ""));
  };
  return (Object.keys(pages) as (keyof typeof pages)[]).find(fits);
}

// fetchPage fetches the code of a page; askAhead makes its first calls if somebody is signed in.
export function fetchPage(path: string, query: URLSearchParams) {
  const at = page(path);
  if (!at) return;
  const all: (() => Promise<unknown>)[] = [pages[at], ...(clients[at.split("/")[1]!] ?? [])];
  if (at === "/state-machines/create" || (at === "/state-machines/:arn" && query.get("tab") === "definition")) all.push(workbench);
  for (const f of all) f().catch(() => {}); // said where it is drawn
}

export function askAhead(path: string) {
  const at = page(path);
  if ((regionIn(path) ?? current().region) !== current().region) return; // the app turns to that one first
  const last = param(path.split("/").pop()!);
  if (at === "/state-machines/:arn") aheadOfMachine(last);
  if (at === "/executions/:arn") aheadOfExecution(last);
}
