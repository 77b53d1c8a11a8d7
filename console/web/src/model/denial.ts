// What AWS's words of a refusal say, taken apart.
export type Denial = {
  who: string;
  action: string;
  resource?: string;
  layer: string; // "identity-based policy", "service control policy", …
  explicit: boolean;
  policyArn?: string; // of an explicit deny
};

const words =
  /^User: (\S+) is not authorized to perform: (\S+)(?: on resource: (\S+))?(?: because no (.+?) allows the \S+ action| with an explicit deny in an? (.+?)(?:: (arn:\S+))?)?\.?$/;

export function denial(message: string): Denial | undefined {
  const m = words.exec(message.trim());
  if (!m) return undefined;
  return { who: m[1]!, action: m[2]!, resource: m[3], layer: m[4] ?? m[5] ?? "", explicit: m[5] !== undefined, policyArn: m[6] };
}

export type Kind = "profile" | "model" | "other";

// kind says what a refused resource is: the parts of a cross-Region call are refused one by one.
export function kind(resource: string | undefined): Kind {
  if (/:(application-)?inference-profile\//.test(resource ?? "")) return "profile";
  if (/:foundation-model\//.test(resource ?? "")) return "model";
  return "other";
}
