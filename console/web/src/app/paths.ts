// Addresses of the console's pages.
import { current } from "../aws/session";

export const base = import.meta.env.BASE_URL.replace(/\/$/, "");

// Addresses of pages, without base.
export const to = {
  machine: (arn: string) => "/state-machines/" + encodeURIComponent(arn),
  execution: (arn: string) => "/executions/" + encodeURIComponent(arn),
  profile: (id: string) => "/profiles/" + encodeURIComponent(id),
  playground: (id?: string) => "/playground" + (id ? "?model=" + encodeURIComponent(id) : ""),
  iam: (kind: "role" | "user" | "policy", id: string) => `/iam/${kind === "policy" ? "policies" : kind + "s"}/${encodeURIComponent(id)}`,
  // A record is in the trail of the Region in which the call was made.
  record: (id: string, region?: string) => "/events?id=" + encodeURIComponent(id) + (region && region !== current().region ? "&in=" + region : ""),
};

// param is a part of the address as it was before it was put there.
export const param = (s: string) => {
  try {
    return decodeURIComponent(s);
  } catch {
    return s;
  }
};

// regionIn is the Region that an address is about: of the ARN in it.
export const regionIn = (path: string) => /^arn:[a-z-]+:[a-z-]+:([a-z]{2}(?:-[a-z]+)+-\d):/.exec(param(path.split("/").pop()!))?.[1];
