// Cross-Region inference profiles: where a call may run, and what it takes to be allowed.
import type { Record_ } from "./inference";

export type Profile = { id: string; arn: string; models: string[] };

export const regionOf = (arn: string) => arn.split(":")[3] ?? "";

// destinations are the Regions that a profile may run a call in; a model's ARN without a Region
// stands for every commercial one and is "" here.
export const destinations = (p: Profile) => [...new Set(p.models.map(regionOf))].sort();

export const modelId = (arn: string) => arn.slice(arn.indexOf("/") + 1);

// grants is the least policy that lets its owner call a profile from a Region: the profile, and
// the model in the source Region and in every destination, through this profile only.
export function grants(p: Profile, source: string) {
  const models = [...p.models];
  const first = p.models[0];
  if (first) {
    const here = `arn:${first.split(":")[1]}:bedrock:${source}::foundation-model/${modelId(first)}`;
    if (!models.includes(here)) models.unshift(here);
  }
  const Action = ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"];
  return {
    Version: "2012-10-17",
    Statement: [
      { Effect: "Allow", Action, Resource: [p.arn] },
      { Effect: "Allow", Action, Resource: models, Condition: { StringEquals: { "bedrock:InferenceProfileArn": p.arn } } },
    ],
  };
}

export type CallPart = { resource: string; region: string; profile?: string };

// callParts are what must be allowed for a call through a profile, as the server decides it.
export function callParts(p: Profile, source: string): CallPart[] {
  const first = p.models[0];
  const here = first && `arn:${first.split(":")[1]}:bedrock:${source}::foundation-model/${modelId(first)}`;
  return [
    { resource: p.arn, region: source },
    ...[...new Set([...(here ? [here] : []), ...p.models])].map((resource) => ({ resource, region: regionOf(resource) || "unspecified", profile: p.arn })),
  ];
}

const geography = /^(us-gov|us|eu|apac|jp|au|ca|global)\./;

// kindOf says whose a profile is: AWS's own ids begin with a geography, and an operator's stands
// beside them as if it were the system's.
export const kindOf = (p: { id: string; type: string | undefined }) => (p.type === "APPLICATION" ? "application" : geography.test(p.id) ? "systemDefined" : "operatorDefined");

// underlying is the model behind the id that a caller passed.
export const underlying = (id: string) => {
  const name = id.startsWith("arn:") ? modelId(id) : id;
  return name.replace(geography, "");
};

// Traffic is how calls fared in a Region: passed is how often it was passed over for want of room.
export type Traffic = { region: string; calls: number; errors: number; passed: number; tokens: number; latency?: number };

const passed = new Set(["full", "out"]);
const failed = new Set(["throttled", "failed", "refused", "cut"]);

// traffic is how calls fared in each Region: attempts that failed count where they failed.
export function traffic(records: readonly Record_[]): Traffic[] {
  const by = new Map<string, Traffic & { times: number[] }>();
  const at = (region: string) => {
    let x = by.get(region);
    if (!x) by.set(region, (x = { region, calls: 0, errors: 0, passed: 0, tokens: 0, times: [] }));
    return x;
  };
  for (const r of records) {
    for (const a of r.attempts) {
      if (!a.region) continue;
      if (passed.has(a.outcome ?? "")) at(a.region).passed++;
      else if (a.outcome === undefined ? a.error !== undefined : failed.has(a.outcome)) at(a.region).errors++;
    }
    if (!r.served || r.errorCode) continue;
    const x = at(r.served);
    x.calls++;
    x.tokens += (r.inputTokens ?? 0) + (r.outputTokens ?? 0);
    const ms = r.attempts.find((a) => a.outcome === "served")?.ms ?? r.latency;
    if (ms !== undefined) x.times.push(ms);
  }
  return [...by.values()]
    .map(({ times, ...x }) => ({ ...x, latency: times.sort((a, b) => a - b)[Math.floor(times.length / 2)] }))
    .sort((a, b) => b.calls - a.calls || a.region.localeCompare(b.region));
}

export type Flow = Traffic & { source: string };

// flows is the traffic from each Region in which calls were made.
export function flows(records: readonly Record_[]): Flow[] {
  const by = new Map<string, Record_[]>();
  for (const r of records) by.set(r.region, [...(by.get(r.region) ?? []), r]);
  return [...by.keys()].sort().flatMap((source) => traffic(by.get(source)!).map((x) => ({ ...x, source })));
}

const mostSources = 8; // Regions whose records are read for one page

// sources are the Regions from which a profile may be called, as far as it tells: its own and
// those it leads to. An application's profile is of one Region.
export const sources = (p: Profile, here: string, type: string | undefined) =>
  type === "APPLICATION" ? [regionOf(p.arn)] : [...new Set([here, ...destinations(p).filter(Boolean)])].slice(0, mostSources);

// inRegion is the ARN that a system-defined profile has in another Region.
export const inRegion = (arn: string, region: string) => arn.split(":").with(3, region).join(":");
