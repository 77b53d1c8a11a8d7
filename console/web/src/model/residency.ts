// Where inferences ran, counted from CloudTrail's records as `tokaido residency` counts them.
import type { Record_ } from "./inference";

// Operations that give a prompt to a model.
export const operations = ["Converse", "ConverseStream", "InvokeModel", "InvokeModelWithResponseStream", "InvokeModelWithBidirectionalStream", "StartAsyncInvoke", "CountTokens"];

export type Call = {
  record: Record_;
  profile: string; // "" if the model itself was called
  principal: string; // of a session its role
  workflow: string; // ARN of the state machine; "" for a client's own call
  region?: string; // that answered
  reached: string[]; // further Regions that got the request, and did not answer
  may: string[]; // Regions of which one may have answered, where that is not known
  receipt: boolean; // signed by the Region's key
};

// Boundaries with a name: the Regions on a country's soil, and eu of the European Union's.
export const countries: Record<string, string[]> = {
  jp: ["ap-northeast-1", "ap-northeast-3"],
  kr: ["ap-northeast-2"],
  tw: ["ap-east-2"],
  sg: ["ap-southeast-1"],
  au: ["ap-southeast-2", "ap-southeast-4"],
  in: ["ap-south-1", "ap-south-2"],
  us: ["us-east-1", "us-east-2", "us-west-1", "us-west-2"],
  ca: ["ca-central-1", "ca-west-1"],
  br: ["sa-east-1"],
  gb: ["eu-west-2"],
  ch: ["eu-central-2"],
  eu: ["eu-central-1", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-3"],
};

// boundary reads codes of countries and Regions with commas between; undefined if one is neither.
export function boundary(text: string): string[] | undefined {
  const out = new Set<string>();
  for (const part of text.toLowerCase().split(/[\s,]+/).filter(Boolean)) {
    if (countries[part]) countries[part].forEach((r) => out.add(r));
    else if (/^[a-z]{2}(-[a-z]+)+-\d$/.test(part)) out.add(part);
    else return undefined;
  }
  return [...out].sort();
}

const geography = /^(us-gov|us|eu|apac|jp|au|ca|global)\./;

function profileOf(id: string, served: string): string {
  const name = id.startsWith("arn:") ? id.slice(id.indexOf("/") + 1) : id;
  if (/:application-inference-profile\//.test(id)) return id;
  return geography.test(name) || /:inference-profile\//.test(id) || (served && served !== name) ? name : "";
}

// machineOf is the state machine of an execution's ARN.
export function machineOf(execution: string | undefined): string {
  const p = (execution ?? "").split(":");
  if (p.length < 8 || p[2] !== "states") return "";
  return [...p.slice(0, 5), "stateMachine", p[6]!.split("/")[0]].join(":");
}

export function call(record: Record_): Call {
  let j: any = {};
  try {
    j = JSON.parse(record.json);
  } catch {
    // counted by what the list says
  }
  const more = j.additionalEventData ?? {};
  const who = j.userIdentity ?? {};
  const region = record.served ?? (record.errorCode ? undefined : record.region); // AWS leaves it out where nothing was re-routed
  return {
    record,
    region,
    profile: profileOf(record.model ?? "", more.receipt?.model ?? ""),
    principal: who.sessionContext?.sessionIssuer?.arn ?? who.arn ?? record.user,
    workflow: machineOf(record.executionArn),
    reached: [...new Set<string>((Array.isArray(more.attempts) ? more.attempts : []).filter((a: any) => a.outcome !== "full" && a.outcome !== "out" && a.region && a.region !== region).map((a: any) => String(a.region)))],
    may: Array.isArray(more.inferenceRegions) ? more.inferenceRegions.map(String) : [],
    receipt: more.receipt !== undefined,
  };
}

// went are the Regions that a call was in, or may have been in.
export const went = (c: Call) => [...new Set([...(c.region ? [c.region] : []), ...c.reached, ...c.may])];

export type By = "profile" | "principal" | "workflow";
export type Share = { region: string; calls: number; tokens: number };
export type Group = { key: string; calls: number; failed: number; tokens: number; shares: Share[]; outside: number; first?: Call };
export type Report = { total: Group; groups: Group[]; outside: Call[]; unknown: number; receipts: number; answered: number; from?: Date; till?: Date };

function group(key: string, calls: Call[], inside: string[] | undefined): Group {
  const by = new Map<string, Share>();
  let failed = 0;
  let tokens = 0;
  for (const c of calls) {
    const n = (c.record.inputTokens ?? 0) + (c.record.outputTokens ?? 0);
    tokens += n;
    if (!c.region) {
      failed++;
      continue;
    }
    const s = by.get(c.region) ?? { region: c.region, calls: 0, tokens: 0 };
    s.calls++;
    s.tokens += n;
    by.set(c.region, s);
  }
  const left = inside ? calls.filter((c) => went(c).some((r) => !inside.includes(r))) : [];
  return { key, calls: calls.length, failed, tokens, shares: [...by.values()].sort((a, b) => b.calls - a.calls || a.region.localeCompare(b.region)), outside: left.length, first: left[0] };
}

// report counts calls, the oldest first, by what they have in common.
export function report(calls: readonly Call[], by: By, inside: string[] | undefined): Report {
  const all = [...calls].sort((a, b) => a.record.time.getTime() - b.record.time.getTime());
  const groups = new Map<string, Call[]>();
  for (const c of all) groups.set(c[by], [...(groups.get(c[by]) ?? []), c]);
  return {
    total: group("", all, inside),
    groups: [...groups].map(([k, cs]) => group(k, cs, inside)).sort((a, b) => b.calls - a.calls || a.key.localeCompare(b.key)),
    outside: inside ? all.filter((c) => went(c).some((r) => !inside.includes(r))) : [],
    unknown: all.filter((c) => !c.region && c.may.length > 0).length,
    receipts: all.filter((c) => c.region && c.receipt).length,
    answered: all.filter((c) => c.region).length,
    from: all[0]?.record.time,
    till: all.at(-1)?.record.time,
  };
}

const cell = (s: string) => (/[",\n]/.test(s) || /^[=+@-]/.test(s) ? `"${(/^[=+@-]/.test(s) ? "'" : "") + s.replaceAll('"', '""')}"` : s);

// csv is one line for each call, for spreadsheets; what one would take for a formula is quoted.
export const csv = (calls: readonly Call[], inside: string[] | undefined) =>
  [
    ["time", "requestId", "operation", "sourceRegion", "inferenceRegion", "profile", "model", "principal", "workflow", "inputTokens", "outputTokens", "error", "outside", "receipt"],
    ...calls.map((c) => {
      const r = c.record;
      return [r.time.toISOString(), r.requestId ?? "", r.name, r.region, c.region ?? "", c.profile, r.model ?? "", c.principal, c.workflow, String(r.inputTokens ?? ""), String(r.outputTokens ?? ""), r.errorCode ?? "", inside ? String(went(c).some((x) => !inside.includes(x))) : "", String(c.receipt)];
    }),
  ]
    .map((row) => row.map(cell).join(",") + "\r\n")
    .join("");
