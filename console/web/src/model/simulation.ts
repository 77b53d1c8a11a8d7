// What a record of CloudTrail says of who asked for what, as a simulation asks it again.
import type { Record_ } from "./inference";

export type Question = { principal: string; actions: string[]; resources: string[]; keys: { key: string; value: string }[] };

// Operations whose action has another name.
const actions: Record<string, string> = {
  Converse: "bedrock:InvokeModel",
  InvokeModel: "bedrock:InvokeModel",
  ConverseStream: "bedrock:InvokeModelWithResponseStream",
  InvokeModelWithResponseStream: "bedrock:InvokeModelWithResponseStream",
};
const services: Record<string, string> = { monitoring: "cloudwatch" };

export function question(r: Record_): Question {
  let j: any = {};
  try {
    j = JSON.parse(r.json);
  } catch {
    // then the list's fields are all there is
  }
  const service = r.source.split(".")[0]!;
  const refused = /is not authorized to perform: (\S+)(?: on resource: (\S+))?/.exec(r.errorMessage ?? "");
  const resources = [...r.resources.filter((x) => x.startsWith("arn:"))];
  const named = refused?.[2];
  if (named?.startsWith("arn:") && !resources.includes(named)) resources.push(named);
  return {
    principal: j.userIdentity?.sessionContext?.sessionIssuer?.arn ?? j.userIdentity?.arn ?? "",
    actions: [refused?.[1] ?? (service === "bedrock" ? actions[r.name] : undefined) ?? `${services[service] ?? service}:${r.name}`],
    resources,
    keys: r.region ? [{ key: "aws:RequestedRegion", value: r.region }] : [],
  };
}

// list reads what stands in a text field, one a line or with commas between.
export const list = (text: string) => [...new Set(text.split(/[\s,]+/).filter(Boolean))];

// keys reads "key = value" lines.
export const keys = (text: string) =>
  text.split("\n").flatMap((l) => {
    const m = /^\s*([^=\s]+)\s*=\s*(.*?)\s*$/.exec(l);
    return m ? [{ key: m[1]!, value: m[2]! }] : [];
  });
