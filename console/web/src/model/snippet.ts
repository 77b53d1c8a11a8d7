// A Converse call as other clients make it, and as a state of a workflow.
import type { ConverseStreamCommandInput } from "@aws-sdk/client-bedrock-runtime";

export type Asked = ConverseStreamCommandInput & { modelId: string };
// files are the names of what was attached, in the order of its bytes.
export type Snippet = Asked & { region: string; endpoint: string; files?: string[] };

const json = (v: unknown, indent = 0) => JSON.stringify(v, null, 2).replaceAll("\n", "\n" + " ".repeat(indent));
// A word of a POSIX shell.
export const quoted = (s: string) => (/^[\w@%+=:,./-]+$/.test(s) ? s : `'${s.replaceAll("'", `'\\''`)}'`);

// marked has a mark where there are bytes, which each language replaces by reading the file.
const mark = (i: number) => `\u0000file ${i}\u0000`;
function marked<V>(v: V): V {
  let n = 0;
  const walk = (x: unknown): unknown => {
    if (x instanceof Uint8Array) return mark(n++);
    if (Array.isArray(x)) return x.map(walk);
    if (x && typeof x === "object") return Object.fromEntries(Object.entries(x).filter(([, y]) => y !== undefined).map(([k, y]) => [k, walk(y)]));
    return x;
  };
  return walk(v) as V;
}
const unmark = (text: string, files: readonly string[] | undefined, read: (name: string) => string) => text.replace(/"\\u0000file (\d+)\\u0000"/g, (_, i: string) => read(files?.[Number(i)] ?? "file"));

export function asCli(s: Snippet): string {
  const line = (name: string, v: unknown) => `  --${name} ` + quoted(JSON.stringify(marked(v))).replace(/"\\u0000file (\d+)\\u0000"/g, (_, i: string) => `"'"$(base64 -w0 ${quoted(s.files?.[Number(i)] ?? "file")})"'"`);
  return [
    `aws bedrock-runtime converse --endpoint-url ${quoted(s.endpoint)} --region ${quoted(s.region)}`,
    `  --model-id ${quoted(s.modelId)}`,
    ...(s.system ? [line("system", s.system)] : []),
    line("messages", s.messages),
    ...(s.inferenceConfig ? [line("inference-config", s.inferenceConfig)] : []),
    ...(s.toolConfig ? [line("tool-config", s.toolConfig)] : []),
  ].join(" \\\n");
}

// literal is JSON as Python writes it.
function literal(v: unknown, indent: number): string {
  const pad = " ".repeat(indent);
  if (v === true) return "True";
  if (v === false) return "False";
  if (v === null || v === undefined) return "None";
  if (Array.isArray(v)) return v.length ? `[\n${v.map((x) => `${pad}    ${literal(x, indent + 4)},\n`).join("")}${pad}]` : "[]";
  if (typeof v === "object") return `{\n${Object.entries(v).map(([k, x]) => `${pad}    ${JSON.stringify(k)}: ${literal(x, indent + 4)},\n`).join("")}${pad}}`;
  return JSON.stringify(v);
}

export function asPython(s: Snippet): string {
  const arg = (name: string, v: unknown) => (v === undefined ? "" : `    ${name}=${unmark(literal(marked(v), 4), s.files, (f) => `open(${JSON.stringify(f)}, "rb").read()`)},\n`);
  return `import boto3

client = boto3.client("bedrock-runtime", endpoint_url=${json(s.endpoint)}, region_name=${json(s.region)})
response = client.converse_stream(
    modelId=${json(s.modelId)},
${arg("system", s.system)}${arg("messages", s.messages)}${arg("inferenceConfig", s.inferenceConfig)}${arg("toolConfig", s.toolConfig)})
for event in response["stream"]:
    if "contentBlockDelta" in event:
        print(event["contentBlockDelta"]["delta"].get("text", ""), end="", flush=True)
`;
}

export function asJavaScript(s: Snippet): string {
  const { region, endpoint, files, ...input } = s;
  return `${files?.length ? 'import { readFileSync } from "node:fs";\n' : ""}import { BedrockRuntimeClient, ConverseStreamCommand } from "@aws-sdk/client-bedrock-runtime";

const client = new BedrockRuntimeClient({ endpoint: ${json(endpoint)}, region: ${json(region)} });
const { stream } = await client.send(new ConverseStreamCommand(${unmark(json(marked(input)), files, (f) => `readFileSync(${JSON.stringify(f)})`)}));
for await (const event of stream) process.stdout.write(event.contentBlockDelta?.delta?.text ?? "");
`;
}

export function asGo(s: Snippet): string {
  const str = (t: string) => (/[`\\]/.test(t) || !t.includes("\n") ? JSON.stringify(t) : "`" + t + "`");
  let n = 0;
  const file = () => `read(${JSON.stringify(s.files?.[n++] ?? "file")})`;
  const block = (c: any): string => {
    if (c.text !== undefined) return `&types.ContentBlockMemberText{Value: ${str(c.text)}}`;
    if (c.image) return `&types.ContentBlockMemberImage{Value: types.ImageBlock{Format: ${JSON.stringify(c.image.format)}, Source: &types.ImageSourceMemberBytes{Value: ${file()}}}}`;
    if (c.document) return `&types.ContentBlockMemberDocument{Value: types.DocumentBlock{Name: aws.String(${JSON.stringify(c.document.name)}), Format: ${JSON.stringify(c.document.format)}, Source: &types.DocumentSourceMemberBytes{Value: ${file()}}}}`;
    if (c.toolUse) return `&types.ContentBlockMemberToolUse{Value: types.ToolUseBlock{ToolUseId: aws.String(${JSON.stringify(c.toolUse.toolUseId)}), Name: aws.String(${JSON.stringify(c.toolUse.name)}), Input: document.NewLazyDocument(jsonOf(${str(JSON.stringify(c.toolUse.input))}))}}`;
    return `&types.ContentBlockMemberToolResult{Value: types.ToolResultBlock{ToolUseId: aws.String(${JSON.stringify(c.toolResult.toolUseId)}), Content: []types.ToolResultContentBlock{&types.ToolResultContentBlockMemberText{Value: ${str(c.toolResult.content[0].text)}}}}}`;
  };
  const messages = (s.messages ?? []).map((m) => `\t\t\t{Role: types.ConversationRole${m.role === "user" ? "User" : "Assistant"}, Content: []types.ContentBlock{\n${(m.content ?? []).map((c) => `\t\t\t\t${block(c)},\n`).join("")}\t\t\t}},\n`).join("");
  const files = n > 0;
  const c = s.inferenceConfig ?? {};
  const config = [
    c.maxTokens !== undefined && `MaxTokens: aws.Int32(${c.maxTokens})`,
    c.temperature !== undefined && `Temperature: aws.Float32(${c.temperature})`,
    c.topP !== undefined && `TopP: aws.Float32(${c.topP})`,
    c.stopSequences?.length && `StopSequences: []string{${c.stopSequences.map((x) => JSON.stringify(x)).join(", ")}}`,
  ].filter(Boolean);
  const specs = (s.toolConfig?.tools ?? []).map((t: any) => `\t\t\t&types.ToolMemberToolSpec{Value: types.ToolSpecification{Name: aws.String(${JSON.stringify(t.toolSpec.name)}), ${t.toolSpec.description ? `Description: aws.String(${JSON.stringify(t.toolSpec.description)}), ` : ""}InputSchema: &types.ToolInputSchemaMemberJson{Value: document.NewLazyDocument(jsonOf(${str(JSON.stringify(t.toolSpec.inputSchema.json))}))}}},\n`).join("");
  const documents = specs !== "" || messages.includes("jsonOf(");
  return `package main

import (
	"context"
${documents ? '\t"encoding/json"\n' : ""}	"fmt"
	"log"
${files ? '\t"os"\n' : ""}
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
${documents ? '\t"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/document"\n' : ""}	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
)
${files ? "\nfunc read(name string) []byte {\n\tb, err := os.ReadFile(name)\n\tif err != nil {\n\t\tlog.Fatal(err)\n\t}\n\treturn b\n}\n" : ""}${documents ? "\nfunc jsonOf(s string) (v any) {\n\tif err := json.Unmarshal([]byte(s), &v); err != nil {\n\t\tlog.Fatal(err)\n\t}\n\treturn v\n}\n" : ""}
func main() {
	ctx := context.Background()
	cfg, err := config.LoadDefaultConfig(ctx, config.WithRegion(${JSON.stringify(s.region)}), config.WithBaseEndpoint(${JSON.stringify(s.endpoint)}))
	if err != nil {
		log.Fatal(err)
	}
	out, err := bedrockruntime.NewFromConfig(cfg).ConverseStream(ctx, &bedrockruntime.ConverseStreamInput{
		ModelId: aws.String(${JSON.stringify(s.modelId)}),
${s.system?.length ? `\t\tSystem:  []types.SystemContentBlock{&types.SystemContentBlockMemberText{Value: ${str((s.system[0] as { text: string }).text)}}},\n` : ""}		Messages: []types.Message{
${messages}		},
${config.length ? `\t\tInferenceConfig: &types.InferenceConfiguration{${config.join(", ")}},\n` : ""}${specs ? `\t\tToolConfig: &types.ToolConfiguration{Tools: []types.Tool{\n${specs}\t\t}},\n` : ""}	})
	if err != nil {
		log.Fatal(err)
	}
	stream := out.GetStream()
	defer stream.Close()
	for event := range stream.Events() {
		if d, ok := event.(*types.ConverseStreamOutputMemberContentBlockDelta); ok {
			if t, ok := d.Value.Delta.(*types.ContentBlockDeltaMemberText); ok {
				fmt.Print(t.Value)
			}
		}
	}
	if err := stream.Err(); err != nil {
		log.Fatal(err)
	}
}
`;
}

const pascal = (k: string) => k[0]!.toUpperCase() + k.slice(1);

// asTask is a state that makes the call: the last message's text becomes the state's input.
export function asTask(s: Asked, name: string): { definition: string; files: number } {
  let files = 0;
  const walk = (x: unknown): unknown => {
    if (Array.isArray(x))
      return x
        .filter((b) => {
          const file = b && typeof b === "object" && ("image" in b || "document" in b);
          if (file) files++;
          return !file; // a definition holds no files
        })
        .map(walk);
    if (!x || typeof x !== "object") return typeof x === "string" && /^\{%.*%\}$/s.test(x) ? " " + x : x; // text, not an expression
    return Object.fromEntries(Object.entries(x).filter(([, y]) => y !== undefined).map(([k, y]) => [pascal(k), k === "json" || (k === "input" && "toolUseId" in x) ? y : walk(y)]));
  };
  const args = walk({ modelId: s.modelId, system: s.system, messages: s.messages, inferenceConfig: s.inferenceConfig, toolConfig: s.toolConfig }) as { Messages: { Role: string; Content: { Text?: string }[] }[] };
  const last = args.Messages.at(-1)?.Content.findLast((c) => c.Text !== undefined);
  if (last) last.Text = "{% $states.input.prompt %}";
  const state = {
    Type: "Task",
    Resource: "arn:aws:states:::aws-sdk:bedrockruntime:converse",
    Arguments: args,
    // A model with tools may call one and say nothing; one that thinks does not begin with what it says.
    Output: s.toolConfig ? "{% $states.result.Output.Message %}" : "{% $join($states.result.Output.Message.Content.Text) %}",
    Retry: [{ ErrorEquals: ["BedrockRuntime.ThrottlingException"], IntervalSeconds: 1, MaxAttempts: 3, BackoffRate: 2 }],
    End: true,
  };
  return { files, definition: JSON.stringify({ QueryLanguage: "JSONata", StartAt: name, States: { [name]: state } }, null, 2) };
}
