// A Converse call as other clients make it.
type Text = { text: string };
export type Asked = {
  modelId: string;
  system?: Text[];
  messages: { role: "user" | "assistant"; content: Text[] }[];
  inferenceConfig: { maxTokens: number; temperature: number };
};
export type Snippet = Asked & { region: string; endpoint: string };

const json = (v: unknown, indent = 0) => JSON.stringify(v, null, 2).replaceAll("\n", "\n" + " ".repeat(indent));
// A word of a POSIX shell.
export const quoted = (s: string) => (/^[\w@%+=:,./-]+$/.test(s) ? s : `'${s.replaceAll("'", `'\\''`)}'`);

export function asCli(s: Snippet): string {
  const line = (name: string, v: unknown) => `  --${name} ${quoted(JSON.stringify(v))}`;
  return [
    `aws bedrock-runtime converse --endpoint-url ${quoted(s.endpoint)} --region ${quoted(s.region)}`,
    `  --model-id ${quoted(s.modelId)}`,
    ...(s.system ? [line("system", s.system)] : []),
    line("messages", s.messages),
    line("inference-config", s.inferenceConfig),
  ].join(" \\\n");
}

// JSON's strings, numbers and lists are Python's too; these documents have nothing else.
export function asPython(s: Snippet): string {
  return `import boto3

client = boto3.client("bedrock-runtime", endpoint_url=${json(s.endpoint)}, region_name=${json(s.region)})
response = client.converse_stream(
    modelId=${json(s.modelId)},
${s.system ? `    system=${json(s.system, 4)},\n` : ""}    messages=${json(s.messages, 4)},
    inferenceConfig=${json(s.inferenceConfig, 4)},
)
for event in response["stream"]:
    if "contentBlockDelta" in event:
        print(event["contentBlockDelta"]["delta"].get("text", ""), end="", flush=True)
`;
}

export function asJavaScript(s: Snippet): string {
  const { region, endpoint, ...input } = s;
  return `import { BedrockRuntimeClient, ConverseStreamCommand } from "@aws-sdk/client-bedrock-runtime";

const client = new BedrockRuntimeClient({ endpoint: ${json(endpoint)}, region: ${json(region)} });
const { stream } = await client.send(new ConverseStreamCommand(${json(input)}));
for await (const event of stream) process.stdout.write(event.contentBlockDelta?.delta?.text ?? "");
`;
}
