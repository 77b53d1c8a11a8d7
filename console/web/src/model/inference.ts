// CloudTrail's records -> what was asked of models, and which Region answered.
import type { Event } from "@aws-sdk/client-cloudtrail";

export type Record_ = {
  id: string;
  name: string;
  source: string; // "bedrock.amazonaws.com"
  time: Date;
  user: string;
  region: string; // in which the call was made
  served?: string; // Region that answered
  inputTokens?: number;
  outputTokens?: number;
  latency?: number; // ms, of the whole answer
  attempts: { region: string; error?: string; outcome?: string; ms?: number }[];
  model?: string;
  resources: string[];
  errorCode?: string;
  errorMessage?: string;
  requestId?: string;
  executionArn?: string;
  state?: string;
  readOnly: boolean;
  accessKey?: string;
  json: string;
};

const text = (v: unknown) => (typeof v === "string" && v !== "" ? v : undefined);
const count = (v: unknown) => (typeof v === "number" ? v : undefined);

export function record(e: Event): Record_ {
  let j: any = {};
  try {
    j = JSON.parse(e.CloudTrailEvent ?? "{}");
  } catch {
    // it is shown as it is
  }
  const more = j.additionalEventData ?? {};
  return {
    id: e.EventId ?? "",
    name: e.EventName ?? "",
    source: e.EventSource ?? "",
    time: e.EventTime ?? new Date(0),
    user: e.Username ?? "",
    region: text(j.awsRegion) ?? "",
    served: text(more.inferenceRegion),
    inputTokens: count(more.inputTokens),
    outputTokens: count(more.outputTokens),
    latency: count(more.latencyMs),
    attempts: Array.isArray(more.attempts) ? more.attempts.map((a: any) => ({ region: String(a.region ?? ""), error: text(a.error), outcome: text(a.outcome), ms: count(a.latencyMs) })) : [],
    model: text(j.requestParameters?.modelId),
    resources: (e.Resources ?? []).map((r) => r.ResourceName ?? "").filter(Boolean),
    errorCode: text(j.errorCode),
    errorMessage: text(j.errorMessage),
    requestId: text(j.requestID),
    executionArn: text(more.executionArn),
    state: text(more.state),
    readOnly: j.readOnly === true,
    accessKey: text(e.AccessKeyId),
    json: e.CloudTrailEvent ?? "",
  };
}

// inference reports whether a record tells of a model that was asked.
export const inference = (r: Record_) => r.source === "bedrock.amazonaws.com" && /^(Converse|InvokeModel)/.test(r.name);

// modelCalls are the names of the records for which inference holds.
export const modelCalls = ["Converse", "ConverseStream", "InvokeModel", "InvokeModelWithResponseStream", "InvokeModelWithBidirectionalStream"];

export type Found = { items: Record_[]; more: boolean }; // the newest first; more: there are older ones

// together puts answers into one, each record once, the newest first. Where an answer is not all
// there is, what is older than its last record may lack some of its kind, and is left out. Of what
// is found besides, nothing is missed.
export function together(found: readonly Found[], besides: readonly Record_[] = []): Found {
  const ends = found.filter((f) => f.more && f.items.length > 0).map((f) => f.items.at(-1)!.time.getTime());
  const from = Math.max(-Infinity, ...ends);
  const by = new Map([...found.flatMap((f) => f.items), ...besides].filter((r) => r.time.getTime() >= from).map((r) => [r.id, r]));
  return { items: [...by.values()].sort((a, b) => b.time.getTime() - a.time.getTime()), more: found.some((f) => f.more) };
}

export type Share = { region: string; calls: number; tokens: number };

// shares is how many answers came from each Region, the most first.
export function shares(records: readonly Record_[]): Share[] {
  const by = new Map<string, Share>();
  for (const r of records) {
    if (!r.served || r.errorCode) continue;
    const s = by.get(r.served) ?? { region: r.served, calls: 0, tokens: 0 };
    s.calls++;
    s.tokens += (r.inputTokens ?? 0) + (r.outputTokens ?? 0);
    by.set(r.served, s);
  }
  return [...by.values()].sort((a, b) => b.calls - a.calls || a.region.localeCompare(b.region));
}

export type Served = { shares: Share[]; input: number; output: number; denied: number; failed: number };

// byState is what the graph shows on each state that asked a model.
export function byState(records: readonly Record_[]): Record<string, Served> {
  const groups = new Map<string, Record_[]>();
  for (const r of records) if (r.state && inference(r)) groups.set(r.state, [...(groups.get(r.state) ?? []), r]);
  const out: Record<string, Served> = {};
  for (const [state, rs] of groups) {
    out[state] = {
      shares: shares(rs),
      input: rs.reduce((n, r) => n + (r.inputTokens ?? 0), 0),
      output: rs.reduce((n, r) => n + (r.outputTokens ?? 0), 0),
      denied: rs.filter((r) => denied(r.errorCode)).length,
      failed: rs.filter((r) => r.errorCode && !denied(r.errorCode)).length,
    };
  }
  return out;
}

export const denied = (code: string | undefined) => code !== undefined && /^(.*\.)?AccessDenied(Exception)?$/.test(code);

// sessionName is an execution's name as CloudTrail's user name: of the session of the machine's
// role, where it can be one unchanged; undefined otherwise.
export const sessionName = (execution: string) => (/^[\w+=,.@-]{2,64}$/.test(execution) ? execution : undefined);
