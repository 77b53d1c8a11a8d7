// The clients of the AWS APIs. There is one endpoint for every service: the server that this
// page came from. The SDK signs in the browser, and the signature says which service is meant.
import { current, end, subscribe, type Credentials } from "./session";

export const endpoint: string = window.location.origin;

// Without info: where there is one, the SDK copies every answer member by member, to log it without secrets.
const logger = { debug() {}, warn() {} } as never;

export const config = (credentials: Credentials, region: string) => ({ endpoint, region, credentials, maxAttempts: 2, logger });

const settings = () => {
  const { session, region } = current();
  if (!session) throw new Error("nobody is signed in");
  return config(session.credentials, region);
};

// What was made for one session and Region is not used for the next.
const caches: (() => void)[] = [];
subscribe(() => caches.forEach((c) => c()));

const lasting = <T>(make: () => Promise<T>) => {
  let p: Promise<T> | undefined;
  caches.push(() => (p = undefined));
  return () => (p ??= make());
};

// Named exports of one small module for each service keep the SDK tree-shakable: a dynamic
// import of the package itself would bring every command of the service.
export const sfn = lasting(async () => {
  const m = await import("./api-sfn");
  // TestState would ask sync-HOST otherwise: there is one host for all.
  return { m, c: new m.Client({ ...settings(), disableHostPrefix: true }) };
});
export const bedrock = lasting(async () => {
  const m = await import("./api-bedrock");
  return { m, c: new m.Client(settings()) };
});
export const runtime = lasting(async () => {
  const m = await import("./api-runtime");
  // The browser's default handler drops abortSignal, so that a stream could not be stopped.
  return { m, c: new m.Client({ ...settings(), requestHandler: new m.FetchHttpHandler() }) };
});
export const cloudtrail = lasting(async () => {
  const m = await import("./api-cloudtrail");
  return { m, c: new m.Client(settings()) };
});
// trailIn is CloudTrail of another Region than the chosen one.
export const trailIn = async (region: string) => {
  const { m, c } = await cloudtrail();
  return { m, c: region === current().region ? c : new m.Client({ ...settings(), region }) };
};
export const iam = lasting(async () => {
  const m = await import("./api-iam");
  return { m, c: new m.Client({ ...settings(), region: "us-east-1" }) };
});
export const sts = lasting(async () => {
  const m = await import("./api-sts");
  return { m, c: new m.Client(settings()) };
});

const expired = new Set(["ExpiredTokenException", "ExpiredToken", "InvalidClientTokenId", "UnrecognizedClientException"]);

// noteError ends a session whose credentials are no longer taken.
export function noteError(e: unknown) {
  if (expired.has((e as Error)?.name)) end("expired");
}
