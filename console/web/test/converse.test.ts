import { describe, expect, it } from "vitest";
import { alike, attach, called, choices, chosen, content, fold, messages, most, tools, type Answer, type File } from "../src/model/converse";
import { asCli, asGo, asJavaScript, asPython, asTask } from "../src/model/snippet";

const bytes = new Uint8Array([1, 2, 3]);
const none: Answer = { text: "", calls: [] };
const user = (text: string, files: File[] = []) => ({ text, files, results: [] });

describe("attachments", () => {
  it("are images and documents, no more and no larger than the API takes", () => {
    expect(attach("a.JPG", bytes, [])).toMatchObject({ kind: "image", format: "jpeg" });
    expect(attach("notes.md", bytes, [])).toMatchObject({ kind: "document", format: "md" });
    expect(attach("movie.mp4", bytes, [])).toBe("kind");
    expect(attach("a.png", new Uint8Array(most.imageBytes + 1), [])).toBe("size");
    const five = Array.from({ length: most.documents }, () => attach("a.pdf", bytes, []) as File);
    expect(attach("b.pdf", bytes, five)).toBe("count");
    expect(attach("b.png", bytes, five)).toMatchObject({ kind: "image" });
  });
  it("have names that the API takes", () => {
    expect(called("Quarterly_report.v2.pdf")).toBe("Quarterly report v2");
    expect(called("見積書.pdf")).toBe("document");
  });
});

describe("conversation", () => {
  it("folds a stream into an answer, tools included", () => {
    const events = [
      { contentBlockDelta: { contentBlockIndex: 0, delta: { text: "Let me " } } },
      { contentBlockDelta: { contentBlockIndex: 0, delta: { text: "look." } } },
      { contentBlockStart: { contentBlockIndex: 1, start: { toolUse: { toolUseId: "t1", name: "weather" } } } },
      { contentBlockDelta: { contentBlockIndex: 1, delta: { toolUse: { input: '{"city":' } } } },
      { contentBlockDelta: { contentBlockIndex: 1, delta: { toolUse: { input: '"Osaka"}' } } } },
      { messageStop: { stopReason: "tool_use" } },
      { metadata: { usage: { inputTokens: 7, outputTokens: 9, totalTokens: 16 }, metrics: { latencyMs: 1 } } },
    ];
    const a = events.reduce((x, e) => fold(x, e as never), none);
    expect(a).toEqual({ text: "Let me look.", calls: [{ toolUseId: "t1", name: "weather", input: '{"city":"Osaka"}' }], stop: "tool_use", input: 7, output: 9 });
    expect(messages([{ user: user("How is it?"), answer: a }], { text: "", files: [], results: [{ toolUseId: "t1", text: "rain" }] })).toEqual([
      { role: "user", content: [{ text: "How is it?" }] },
      { role: "assistant", content: [{ text: "Let me look." }, { toolUse: { toolUseId: "t1", name: "weather", input: { city: "Osaka" } } }] },
      { role: "user", content: [{ toolResult: { toolUseId: "t1", content: [{ text: "rain" }] } }] },
    ]);
  });
  it("leaves out turns without an answer", () => {
    expect(messages([{ user: user("lost"), answer: none }], user("again"))).toEqual([{ role: "user", content: [{ text: "again" }] }]);
  });
  it("puts files before the text", () => {
    const image = attach("a.png", bytes, []) as File;
    expect(content(user("what is it?", [image]))).toEqual([{ image: { format: "png", source: { bytes } } }, { text: "what is it?" }]);
  });
  it("takes tools in any of their forms", () => {
    const spec = { name: "w", inputSchema: { json: { type: "object" } } };
    const want = { tools: [{ toolSpec: spec }] };
    expect(tools("")).toBeUndefined();
    expect(tools(JSON.stringify(spec))).toEqual(want);
    expect(tools(JSON.stringify([{ toolSpec: spec }]))).toEqual(want);
    expect(tools(JSON.stringify({ ...want, toolChoice: { any: {} } }))).toEqual({ ...want, toolChoice: { any: {} } });
    expect(tools("{")).toBeInstanceOf(Error);
    expect(tools('{"name": "w"}')).toBeInstanceOf(Error);
  });
});

it("a model is picked by its provider, and reached on demand or through a profile", () => {
  const all = choices(
    [
      { modelId: "anthropic.c", modelName: "Claude", providerName: "Anthropic", inferenceTypesSupported: ["INFERENCE_PROFILE"], responseStreamingSupported: true },
      { modelId: "amazon.n", modelName: "Nova", providerName: "Amazon", inferenceTypesSupported: ["ON_DEMAND", "INFERENCE_PROFILE"], responseStreamingSupported: true },
      { modelId: "x.silent", modelName: "X", providerName: "X", inferenceTypesSupported: ["PROVISIONED"] },
    ],
    [{ id: "jp.anthropic.c", arn: "arn:p", name: "JP Claude", type: "SYSTEM_DEFINED", models: ["arn:aws:bedrock:ap-northeast-1::foundation-model/anthropic.c"] }],
  );
  expect(all.map((c) => [c.provider, c.ways.map((w) => w.id)])).toEqual([["Amazon", ["amazon.n"]], ["Anthropic", ["jp.anthropic.c"]]]);
  expect(chosen(all, "jp.anthropic.c")?.name).toBe("Claude");
  expect(chosen(all, "global.anthropic.c")?.name).toBe("Claude");
  expect(chosen(all, "nothing")).toBeUndefined();
});

describe("a call with everything", () => {
  const image = attach("it's.png", bytes, []) as File;
  const s = {
    modelId: "jp.m",
    system: [{ text: "Be brief" }],
    messages: messages([], user("What is it?", [image])),
    inferenceConfig: { maxTokens: 5, temperature: 0.5, stopSequences: ["END"] },
    toolConfig: tools('{"name": "w", "inputSchema": {"json": {"type": "object", "additionalProperties": false}}}') as never,
    region: "ap-northeast-1",
    endpoint: "http://127.0.0.1:1",
    files: ["it's.png"],
  };
  it("reads the file in every language, and says the same", () => {
    expect(asCli(s)).toContain(`"bytes":"'"$(base64 -w0 'it'\\''s.png')"'"`);
    expect(asCli(s)).toContain("--tool-config");
    expect(asPython(s)).toContain(`"bytes": open("it's.png", "rb").read()`);
    expect(asPython(s)).toContain('"additionalProperties": False');
    expect(asJavaScript(s)).toContain(`"bytes": readFileSync("it's.png")`);
    expect(asGo(s)).toContain(`ImageSourceMemberBytes{Value: read("it's.png")}`);
    expect(asGo(s)).toContain(`jsonOf("{\\"type\\":\\"object\\"`);
    expect(asGo(s)).not.toContain('Description: aws.String("")'); // which the API refuses
    for (const code of [asCli(s), asPython(s), asJavaScript(s), asGo(s)]) expect(code).not.toContain("\\u0000");
  });
  it("becomes a state, without files, and its last message the state's input", () => {
    const task = asTask(s, "Ask");
    expect(task.files).toBe(1);
    const state = JSON.parse(task.definition).States.Ask;
    expect(state.Resource).toBe("arn:aws:states:::aws-sdk:bedrockruntime:converse");
    expect(state.Arguments).toEqual({
      ModelId: "jp.m",
      System: [{ Text: "Be brief" }],
      Messages: [{ Role: "user", Content: [{ Text: "{% $states.input.prompt %}" }] }],
      InferenceConfig: { MaxTokens: 5, Temperature: 0.5, StopSequences: ["END"] },
      ToolConfig: { Tools: [{ ToolSpec: { Name: "w", InputSchema: { Json: { type: "object", additionalProperties: false } } } }] },
    });
    expect(JSON.parse(asTask({ ...s, system: [{ text: "{% $boom %}" }] }, "Ask").definition).States.Ask.Arguments.System[0].Text).toBe(" {% $boom %}");
  });
});

it("ways to the same model are offered from the narrowest on, one of each width first", () => {
  const way = (id: string, profile = true) => ({ id, label: id, profile });
  const all = [{ provider: "p", model: "m", name: "M", ways: [way("m", false), way("global.m"), way("apac.m"), way("jp.m"), way("sites.m")] }];
  expect(alike(all, "jp.m", 3)).toEqual(["jp.m", "apac.m", "global.m"]);
  expect(alike(all, "global.m", 3)).toEqual(["global.m", "jp.m", "apac.m"]);
  expect(alike(all, "m", 9)).toEqual(["m", "jp.m", "apac.m", "global.m", "sites.m"]);
  expect(alike(all, "other", 3)).toEqual(["other"]);
});
