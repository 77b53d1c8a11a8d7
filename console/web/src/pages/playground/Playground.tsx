import { useRef, useState } from "react";
import { useLocation, useSearchParams } from "wouter";
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import ContentLayout from "@cloudscape-design/components/content-layout";
import ExpandableSection from "@cloudscape-design/components/expandable-section";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import LiveRegion from "@cloudscape-design/components/live-region";
import Modal from "@cloudscape-design/components/modal";
import SegmentedControl from "@cloudscape-design/components/segmented-control";
import Slider from "@cloudscape-design/components/slider";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Tabs from "@cloudscape-design/components/tabs";
import Textarea from "@cloudscape-design/components/textarea";
import { bedrock, endpoint } from "../../aws/clients";
import { current } from "../../aws/session";
import { withDefinition } from "../../app/handover";
import { useLoad } from "../../app/load";
import { Code, Copy, Problem } from "../../app/parts";
import { useI18n } from "../../i18n";
import { useTexts } from "../../i18n/page";
import texts from "../../i18n/pages/playground";
import { accept, alike, attach, choices, messages, tools, type File, type Refused, type User } from "../../model/converse";
import { destinations } from "../../model/profile";
import { asCli, asGo, asJavaScript, asPython, asTask, type Asked } from "../../model/snippet";
import { profiles } from "../Profiles";
import { useChat, type Chat } from "./chat";
import Column from "./Column";
import Picker from "./Picker";
import "./play.css";

const columns = 3; // that can be compared

export default function Playground() {
  const { t } = useI18n();
  const say = useTexts(texts);
  const [, go] = useLocation();
  const [query, setQuery] = useSearchParams();
  const ids = query.getAll("model").slice(0, columns);
  if (ids.length === 0) ids.push("");
  const [p, setP] = useState({ system: "", temperature: 0.5, topP: "", maxTokens: "512", stop: "", tools: "" });
  const [text, setText] = useState("");
  const [files, setFiles] = useState<File[]>([]);
  const [refused, setRefused] = useState<{ name: string; why: Refused }>();
  const [open, show] = useState<"request" | "task">();
  const input = useRef<HTMLInputElement>(null);
  const all = [useChat(), useChat(), useChat()]; // as many as there can be columns
  const [order, setOrder] = useState([0, 1, 2]); // of the conversations: each stays with its column
  const chats = order.map((i) => all[i]!);
  const [of, setOf] = useState(0); // the column whose request is shown
  const list = useLoad(async (abortSignal) => {
    const { m, c } = await bedrock();
    const [models, all] = await Promise.all([c.send(new m.ListFoundationModelsCommand({}), { abortSignal }), profiles(abortSignal)]);
    return { profiles: all, choices: choices((models.modelSummaries ?? []) as never, all) };
  }, []);
  const set = (next: string[]) => setQuery(new URLSearchParams(next.map((x) => ["model", x])), { replace: true });
  const toolConfig = tools(p.tools);
  const topP = Number(p.topP);
  const asked = (id: string, chat: Chat, user: User): Asked => ({
    modelId: id,
    system: p.system.trim() ? [{ text: p.system }] : undefined,
    messages: messages(chat.turns, user),
    inferenceConfig: {
      maxTokens: Math.min(Math.max(1, Math.floor(Number(p.maxTokens)) || 512), 64_000),
      temperature: p.temperature,
      ...(p.topP && topP > 0 && topP <= 1 ? { topP } : {}),
      ...(p.stop.trim() ? { stopSequences: p.stop.split("\n").filter(Boolean) } : {}),
    },
    toolConfig: toolConfig instanceof Error ? undefined : toolConfig,
  });
  const take = (i: number) => {
    chats[i]!.clear();
    setOrder([...order.filter((_, j) => j !== i), order[i]!]);
    setOf(0);
    set(ids.filter((_, j) => j !== i));
  };
  const used = ids.map((id, i) => ({ id, chat: chats[i]! }));
  const busy = used.some((u) => u.chat.busy);
  const ready = ids.every(Boolean) && !(toolConfig instanceof Error);
  const send = (prompt: string) => {
    const user: User = { text: prompt, files, results: [] };
    if (!ready || busy || (!prompt.trim() && files.length === 0)) return;
    for (const u of used) void u.chat.send(user, asked(u.id, u.chat, user));
    setText("");
    setFiles([]);
  };
  const add = async (picked: FileList | null) => {
    setRefused(undefined);
    const all = [...files];
    for (const f of picked ?? []) {
      const got = attach(f.name, new Uint8Array(await f.arrayBuffer()), all);
      if (typeof got === "string") setRefused({ name: f.name, why: got });
      else all.push(got);
    }
    setFiles(all);
    if (input.current) input.current.value = "";
  };
  const first = used[0]!;
  const about = used[of] ?? first;
  const shown = { ...asked(about.id, about.chat, { text: text.trim() || "Hello", files, results: [] }), region: current().region, endpoint };
  const names = [...about.chat.turns.filter((x) => x.answer.text || x.answer.calls.length).flatMap((x) => x.user.files), ...files].map((f) => f.name);
  const task = open === "task" ? asTask(shown, "Ask the model") : undefined;
  const same = list.data && first.id ? alike(list.data.choices, first.id, columns) : [];
  // Of several columns one says whose request it is.
  const whose = ids.length > 1 && (
    <FormField label={t("model")}>
      <SegmentedControl label={t("model")} selectedId={String(of)} onChange={(e) => setOf(Number(e.detail.selectedId))} options={ids.map((id, i) => ({ id: String(i), text: `${i + 1}: ${id.split("/").pop()}` }))} />
    </FormField>
  );
  const name = (id: string) => list.data?.choices.find((c) => c.ways.some((w) => w.id === id))?.name ?? id;
  const way = (id: string) => list.data?.choices.flatMap((c) => c.ways).find((w) => w.id === id)?.label;
  const live = used.map((u) => u.chat.turns.at(-1)?.answer.text ?? "").join(" ");
  const prompt = (
    <SpaceBetween size="s">
      {refused && (
        <Alert type="warning" dismissible onDismiss={() => setRefused(undefined)} dismissAriaLabel={t("close")}>
          {say(refused.why, { name: refused.name })}
        </Alert>
      )}
      <div className="prompt">
        <Textarea
          value={text}
          onChange={(e) => setText(e.detail.value)}
          onKeyDown={(e) => {
            if (e.detail.key !== "Enter" || e.detail.shiftKey || e.detail.isComposing) return;
            e.preventDefault();
            send(text);
          }}
          ariaLabel={t("prompt")}
          placeholder={ready ? (ids.length > 1 ? say("compareHint") : t("promptPlaceholder")) : t("chooseModel")}
          disabled={!ready}
          rows={3}
        />
        {files.length > 0 && (
          <SpaceBetween direction="horizontal" size="xs">
            {files.map((f, i) => (
              <span key={i} className="copy">
                {f.name}
                <Button variant="inline-icon" iconName="close" ariaLabel={say("detach", { name: f.name })} onClick={() => setFiles(files.filter((_, j) => j !== i))} />
              </span>
            ))}
          </SpaceBetween>
        )}
        <div className="prompt-bar">
          <Button variant="icon" iconName="upload" ariaLabel={say("attach")} disabled={!ready} onClick={() => input.current?.click()} />
          {busy && (
            <Button iconName="status-stopped" onClick={() => used.forEach((u) => u.chat.stop())}>
              {t("stopGenerating")}
            </Button>
          )}
          <Button variant="primary" iconName="send" disabled={!ready || busy || (!text.trim() && files.length === 0)} onClick={() => send(text)}>
            {t("send")}
          </Button>
        </div>
      </div>
    </SpaceBetween>
  );
  return (
    <ContentLayout
      header={
        <Header
          variant="h1"
          actions={
            <SpaceBetween direction="horizontal" size="xs">
              <Button onClick={() => show("task")} disabled={!ready}>
                {say("saveTask")}
              </Button>
              <Button onClick={() => show("request")} disabled={!ready}>
                {t("viewRequest")}
              </Button>
              <Button onClick={() => chats.forEach((c) => c.clear())} disabled={busy || used.every((u) => u.chat.turns.length === 0)}>
                {t("clearChat")}
              </Button>
            </SpaceBetween>
          }
        >
          {t("playground")}
        </Header>
      }
    >
      <SpaceBetween size="m">
        <Problem error={list.error} retry={list.reload} />
        <div className={`play n${ids.length}`}>
          {used.map((u, i) => {
            const profile = list.data?.profiles.find((x) => x.id === u.id || x.arn === u.id);
            const record = u.chat.turns.at(-1)?.answer.record;
            return (
              <Container
                key={order[i]}
                fitHeight={ids.length > 1}
                header={
                  ids.length > 1 && (
                    <Header variant="h2" actions={<Button variant="icon" iconName="close" ariaLabel={say("remove", { name: way(u.id) || name(u.id) || String(i + 1) })} disabled={busy} onClick={() => take(i)} />}>
                      {way(u.id) || name(u.id) || t("model")}
                    </Header>
                  )
                }
              >
                <SpaceBetween size="m">
                  <Picker all={list.data?.choices ?? []} id={u.id} loading={list.loading} regions={profile ? destinations(profile) : []} served={typeof record === "object" ? record.served : undefined} onChange={(id) => set(ids.map((x, j) => (j === i ? id : x)))} />
                  {ids.length > 1 && <Column chat={u.chat} name={say("answerOf", { name: way(u.id) || name(u.id) })} onResults={(results) => void u.chat.send({ text: "", files: [], results }, asked(u.id, u.chat, { text: "", files: [], results }))} />}
                </SpaceBetween>
                {i === ids.length - 1 && ids.length < columns && (
                  <Box margin={{ top: "s" }}>
                    <SpaceBetween direction="horizontal" size="xs">
                      <Button iconName="add-plus" disabled={!u.id || busy} onClick={() => set([...ids, ""])}>
                        {say("compare")}
                      </Button>
                      {ids.length === 1 && same.length > 1 && (
                        <Button disabled={busy} onClick={() => set(same)}>
                          {say("compareProfiles")}
                        </Button>
                      )}
                    </SpaceBetween>
                  </Box>
                )}
                {i === 0 && (
                  <Box margin={{ top: "s" }}>
                    <ExpandableSection headerText={say(ids.length > 1 ? "parametersOfAll" : "parameters")} defaultExpanded={ids.length === 1 && window.innerWidth > 900}>
                      <SpaceBetween size="s">
                        <FormField label={t("systemPrompt")}>
                          <Textarea value={p.system} onChange={(e) => setP({ ...p, system: e.detail.value })} rows={2} />
                        </FormField>
                        <FormField label={`${t("temperature")}: ${p.temperature}`}>
                          <Slider value={p.temperature} min={0} max={1} step={0.1} onChange={(e) => setP({ ...p, temperature: e.detail.value })} ariaLabel={t("temperature")} />
                        </FormField>
                        <div className="fields">
                          <FormField label={t("maxTokens")}>
                            <Input type="number" value={p.maxTokens} onChange={(e) => setP({ ...p, maxTokens: e.detail.value })} />
                          </FormField>
                          <FormField label={say("topP")}>
                            <Input type="number" step={0.1} value={p.topP} placeholder={say("asDefault")} onChange={(e) => setP({ ...p, topP: e.detail.value })} />
                          </FormField>
                        </div>
                        <FormField label={say("stopSequences")} description={say("stopHint")}>
                          <Textarea value={p.stop} onChange={(e) => setP({ ...p, stop: e.detail.value })} rows={1} spellcheck={false} />
                        </FormField>
                        <FormField label={say("tools")} description={say("toolsHint")} errorText={toolConfig instanceof Error && say("badTools", { why: toolConfig.message })}>
                          <Textarea value={p.tools} onChange={(e) => setP({ ...p, tools: e.detail.value })} rows={2} spellcheck={false} placeholder={'{"name": "weather", "inputSchema": {"json": {"type": "object"}}}'} />
                        </FormField>
                      </SpaceBetween>
                    </ExpandableSection>
                  </Box>
                )}
              </Container>
            );
          })}
          {ids.length === 1 && (
            <SpaceBetween size="m">
            <Container>
              <Column chat={first.chat} name={name(first.id)} onResults={(results) => void first.chat.send({ text: "", files: [], results }, asked(first.id, first.chat, { text: "", files: [], results }))} />
            </Container>
            {prompt}
            </SpaceBetween>
          )}
        </div>
        <LiveRegion hidden>{busy ? t("generating") : live}</LiveRegion>
        {ids.length > 1 && prompt}
        <input ref={input} type="file" multiple hidden accept={accept} aria-label={say("attach")} onChange={(e) => void add(e.target.files)} />
      </SpaceBetween>
      {open === "request" && (
        <Modal visible size="large" header={t("viewRequest")} closeAriaLabel={t("close")} onDismiss={() => show(undefined)}>
          <SpaceBetween size="s">
          {whose}
          <Tabs
            tabs={(
              [
                ["cli", "AWS CLI", asCli],
                ["python", "Python (boto3)", asPython],
                ["go", "Go", asGo],
                ["js", "JavaScript", asJavaScript],
              ] as const
            ).map(([id, label, write]) => {
              const code = write({ ...shown, files: names });
              return {
                id,
                label,
                content: (
                  <SpaceBetween size="xs">
                    <Copy text={code} label={t("copy")} />
                    <Code text={code} />
                  </SpaceBetween>
                ),
              };
            })}
          />
          </SpaceBetween>
        </Modal>
      )}
      {task && (
        <Modal
          visible
          size="large"
          header={say("saveTask")}
          closeAriaLabel={t("close")}
          onDismiss={() => show(undefined)}
          footer={
            <SpaceBetween direction="horizontal" size="xs">
              <Copy text={task.definition} label={t("copy")} />
              <Button
                variant="primary"
                onClick={() => go("/state-machines/create", withDefinition(task.definition))}
              >
                {say("createMachine")}
              </Button>
            </SpaceBetween>
          }
        >
          <SpaceBetween size="s">
            {whose}
            <Box>{say("saveTaskHint")}</Box>
            {task.files > 0 && <Alert type="info">{say("noFiles", { n: task.files })}</Alert>}
            <Code text={task.definition} />
          </SpaceBetween>
        </Modal>
      )}
    </ContentLayout>
  );
}
