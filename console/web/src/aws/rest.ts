// Calls of services that no client here is for: JSON over REST, signed as the clients sign.
import { SignatureV4 } from "@smithy/signature-v4";
import { bedrock, endpoint } from "./clients";
import { current } from "./session";

// restJson calls an operation of AWS's; an error has its code as its name, like the clients'.
export async function restJson<Out>(service: string, method: string, path: string, body: unknown, signal?: AbortSignal): Promise<Out> {
  const { session, region } = current();
  const url = new URL(path, endpoint);
  const { c } = await bedrock(); // whose SHA-256 this borrows
  const signer = new SignatureV4({ service, region, credentials: session!.credentials, sha256: c.config.sha256 });
  const request = await signer.sign({
    method,
    protocol: url.protocol,
    hostname: url.hostname,
    port: url.port ? Number(url.port) : undefined,
    path: url.pathname,
    query: Object.fromEntries(url.searchParams),
    headers: { host: url.host, ...(body === undefined ? {} : { "content-type": "application/json" }) },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  delete request.headers["host"]; // the browser's to say
  const r = await fetch(url, { method, headers: request.headers, body: request.body as string, signal });
  const got = (await r.json().catch(() => ({}))) as Record<string, unknown>;
  if (r.ok) return got as Out;
  const e = new Error(String(got["message"] ?? got["Message"] ?? r.statusText));
  e.name = (r.headers.get("x-amzn-errortype") ?? String(got["__type"] ?? "Error")).split(":")[0]!.split("#").pop()!;
  throw Object.assign(e, { $metadata: { requestId: r.headers.get("x-amzn-requestid") ?? undefined } });
}

export type Finding = {
  findingType: "ERROR" | "SECURITY_WARNING" | "WARNING" | "SUGGESTION";
  issueCode: string;
  findingDetails: string;
  locations: { span: { start: { line: number; offset: number }; end: { offset: number } } }[];
};

export type PolicyKind = "identity" | "trust";

// validate holds a policy to the rules.
export async function validate(document: string, kind: PolicyKind, locale: string): Promise<Finding[]> {
  const r = await restJson<{ findings: Finding[] }>("access-analyzer", "POST", "/policy/validation", {
    policyDocument: document,
    locale: locale.toUpperCase(),
    ...(kind === "trust" ? { policyType: "RESOURCE_POLICY", validatePolicyResourceType: "AWS::IAM::AssumeRolePolicyDocument" } : { policyType: "IDENTITY_POLICY" }),
  });
  return r.findings;
}

export type Backend = { region: string; name: string; type: string; simulated: boolean; status: "AVAILABLE" | "NOT_AVAILABLE" };

// backends tells who answers for a model: a member that GetFoundationModelAvailability has besides
// AWS's, and the SDK therefore drops. Another server may not have it.
export async function backends(modelId: string, signal?: AbortSignal): Promise<Backend[] | undefined> {
  return (await restJson<{ backends?: Backend[] }>("bedrock", "GET", "/foundation-model-availability/" + encodeURIComponent(modelId), undefined, signal)).backends;
}
