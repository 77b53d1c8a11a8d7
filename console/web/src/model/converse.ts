// A conversation as the Converse API has it, and what a stream of its events amounts to.
import type { ConverseStreamOutput, Message, ToolConfiguration } from "@aws-sdk/client-bedrock-runtime";

export type File = { name: string; format: string; kind: "image" | "document"; bytes: Uint8Array };
export type Call = { toolUseId: string; name: string; input: string }; // input as it streams: JSON, maybe not yet whole
export type Result = { toolUseId: string; text: string };
export type User = { text: string; files: File[]; results: Result[] };

const images: Record<string, string> = { png: "png", jpg: "jpeg", jpeg: "jpeg", gif: "gif", webp: "webp" };
const documents = ["pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"];

// AWS's limits of one message.
export const most = { images: 20, imageBytes: 3_932_160, documents: 5, documentBytes: 4_718_592 };

export const accept = [...Object.keys(images), ...documents].map((x) => "." + x).join(",");

export type Refused = "kind" | "size" | "count";

// attach says what a file is to the API, or why it cannot be sent.
export function attach(name: string, bytes: Uint8Array, among: readonly File[]): File | Refused {
  const end = name.split(".").pop()!.toLowerCase();
  const kind = images[end] ? "image" : documents.includes(end) ? "document" : undefined;
  if (!kind) return "kind";
  if (bytes.length > (kind === "image" ? most.imageBytes : most.documentBytes)) return "size";
  if (among.filter((f) => f.kind === kind).length >= (kind === "image" ? most.images : most.documents)) return "count";
  return { name, kind, format: images[end] ?? end, bytes };
}

// called is a document's name as the API takes it: no dots, nothing that could be an instruction.
export const called = (name: string) => name.replace(/\.[^.]*$/, "").replace(/[^A-Za-z0-9\s()[\]-]+/g, " ").replace(/\s+/g, " ").trim().slice(0, 200) || "document";

// content are the blocks of a user's message. A document needs a text beside it.
export function content(u: User): NonNullable<Message["content"]> {
  return [
    ...u.results.map((r) => ({ toolResult: { toolUseId: r.toolUseId, content: [{ text: r.text }] } })),
    ...u.files.map((f) =>
      f.kind === "image" ? { image: { format: f.format as "png", source: { bytes: f.bytes } } } : { document: { format: f.format as "pdf", name: called(f.name), source: { bytes: f.bytes } } },
    ),
    ...(u.text.trim() ? [{ text: u.text }] : []),
  ];
}

export type Answer = { text: string; calls: Call[]; stop?: string; input?: number; output?: number };
export type Turn = { user: User; answer: Answer };

const parsed = (s: string) => {
  try {
    return JSON.parse(s || "{}");
  } catch {
    return {};
  }
};

// messages are the turns so far and what comes next. Turns without an answer are left out: the
// API wants roles by turns.
export function messages(turns: readonly Turn[], next: User): Message[] {
  return [
    ...turns.flatMap((t): Message[] =>
      t.answer.text || t.answer.calls.length
        ? [
            { role: "user", content: content(t.user) },
            { role: "assistant", content: [...(t.answer.text ? [{ text: t.answer.text }] : []), ...t.answer.calls.map((c) => ({ toolUse: { toolUseId: c.toolUseId, name: c.name, input: parsed(c.input) } }))] },
          ]
        : [],
    ),
    { role: "user", content: content(next) },
  ];
}

// fold adds an event of the stream to an answer.
export function fold(a: Answer, e: ConverseStreamOutput): Answer {
  const start = e.contentBlockStart?.start?.toolUse;
  if (start) return { ...a, calls: [...a.calls, { toolUseId: start.toolUseId!, name: start.name!, input: "" }] };
  const delta = e.contentBlockDelta?.delta;
  if (delta?.text !== undefined) return { ...a, text: a.text + delta.text };
  if (delta?.toolUse) return { ...a, calls: a.calls.map((c, i) => (i === a.calls.length - 1 ? { ...c, input: c.input + (delta.toolUse!.input ?? "") } : c)) };
  if (e.messageStop) return { ...a, stop: e.messageStop.stopReason };
  if (e.metadata?.usage) return { ...a, input: e.metadata.usage.inputTokens, output: e.metadata.usage.outputTokens };
  return a;
}

// tools reads the text field of tools: a toolConfig, a list of tools, or one tool's specification.
export function tools(text: string): ToolConfiguration | undefined | Error {
  if (!text.trim()) return undefined;
  try {
    const j = JSON.parse(text);
    const list = Array.isArray(j) ? j : (j.tools ?? [j]);
    const all = list.map((t: any) => (t.toolSpec ? t : { toolSpec: t }));
    for (const t of all) if (typeof t.toolSpec?.name !== "string" || typeof t.toolSpec?.inputSchema?.json !== "object") return new Error("name, inputSchema.json");
    return { ...(Array.isArray(j) || !j.tools ? {} : j), tools: all };
  } catch (e) {
    return e as Error;
  }
}

// Models of a provider, and how each can be reached.
export type Choice = { provider: string; model: string; name: string; ways: { id: string; label: string; profile: boolean }[] };
type Model = { modelId?: string; modelName?: string; providerName?: string; inferenceTypesSupported?: readonly string[]; responseStreamingSupported?: boolean };
type Profile = { id: string; arn: string; name: string; type: string; models: string[] };

// choices are what one picks from: provider, model, and on-demand or a profile.
export function choices(models: readonly Model[], profiles: readonly Profile[]): Choice[] {
  const through = new Map<string, Profile[]>();
  for (const p of profiles) {
    const id = p.models[0]?.slice(p.models[0].indexOf("/") + 1) ?? "";
    through.set(id, [...(through.get(id) ?? []), p]);
  }
  return models
    .map((m) => ({
      provider: m.providerName ?? "",
      model: m.modelId!,
      name: m.modelName ?? m.modelId!,
      ways: [
        ...(m.inferenceTypesSupported?.includes("ON_DEMAND") && m.responseStreamingSupported !== false ? [{ id: m.modelId!, label: "", profile: false }] : []),
        ...(through.get(m.modelId!) ?? []).map((p) => ({ id: p.type === "APPLICATION" ? p.arn : p.id, label: p.name, profile: true })),
      ],
    }))
    .filter((c) => c.ways.length > 0)
    .sort((a, b) => a.provider.localeCompare(b.provider) || a.name.localeCompare(b.name));
}

// chosen finds what an id stands for.
export const chosen = (all: readonly Choice[], id: string) => all.find((c) => c.ways.some((w) => w.id === id)) ?? all.find((c) => id.endsWith(c.model));

// alike are ways to the same model, up to a number: the one that is chosen, then other profiles,
// from the narrowest to global ones.
export function alike(all: readonly Choice[], id: string, most: number): string[] {
  const width = (w: { id: string; profile: boolean }) => (!w.profile ? 3 : /^global\./.test(w.id) ? 2 : /^(apac|us|eu)\./.test(w.id) ? 1 : 0);
  const ways = chosen(all, id)?.ways ?? [];
  const own = ways.find((w) => w.id === id);
  const others = ways.filter((w) => w !== own).sort((a, b) => width(a) - width(b) || a.id.localeCompare(b.id));
  // one of each width before a second of one
  const first = others.filter((w, i) => others.findIndex((o) => width(o) === width(w)) === i && (!own || width(w) !== width(own)));
  return [id, ...new Set([...first, ...others].map((w) => w.id))].slice(0, most);
}
