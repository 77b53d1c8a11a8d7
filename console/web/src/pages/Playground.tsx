import { useRef, useState } from "react";
import { useSearchParams } from "wouter";
import Avatar from "@cloudscape-design/chat-components/avatar";
import ChatBubble from "@cloudscape-design/chat-components/chat-bubble";
import Badge from "@cloudscape-design/components/badge";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import ContentLayout from "@cloudscape-design/components/content-layout";
import FormField from "@cloudscape-design/components/form-field";
import Grid from "@cloudscape-design/components/grid";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import LiveRegion from "@cloudscape-design/components/live-region";
import Modal from "@cloudscape-design/components/modal";
import PromptInput from "@cloudscape-design/components/prompt-input";
import Select from "@cloudscape-design/components/select";
import Slider from "@cloudscape-design/components/slider";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Tabs from "@cloudscape-design/components/tabs";
import Textarea from "@cloudscape-design/components/textarea";
import { bedrock, endpoint, noteError, runtime } from "../aws/clients";
import { current } from "../aws/session";
import { ofRequest } from "../aws/trail";
import { useLoad } from "../app/load";
import { Code, Copy, Go, Problem, to } from "../app/parts";
import type { Record_ } from "../model/inference";
import { destinations } from "../model/profile";
import { asCli, asJavaScript, asPython, type Asked } from "../model/snippet";
import { useI18n } from "../i18n";
import { profiles } from "./Profiles";

type Answer = { text: string; first?: number; total?: number; input?: number; output?: number; stopped?: boolean; record?: Record_ | "unknown"; error?: unknown };
type Turn = { id: number; prompt: string; answer: Answer };

export default function Playground() {
  const { t } = useI18n();
  const [query, setQuery] = useSearchParams();
  const model = query.get("model") ?? "";
  const [system, setSystem] = useState("");
  const [temperature, setTemperature] = useState(0.5);
  const [maxTokens, setMaxTokens] = useState("512");
  const [text, setText] = useState("");
  const [turns, setTurns] = useState<Turn[]>([]);
  const [busy, setBusy] = useState(false);
  const [request, showRequest] = useState(false);
  const abort = useRef<AbortController>(undefined);
  const choices = useLoad(async (abortSignal) => {
    const { m, c } = await bedrock();
    const [models, all] = await Promise.all([c.send(new m.ListFoundationModelsCommand({}), { abortSignal }), profiles(abortSignal)]);
    return {
      profiles: all,
      models: (models.modelSummaries ?? []).filter((x) => (x.inferenceTypesSupported as string[] | undefined)?.includes("ON_DEMAND") && x.responseStreamingSupported),
    };
  }, []);
  const profile = choices.data?.profiles.find((p) => p.id === model || p.arn === model);
  const options = [
    { label: t("viaProfile"), options: (choices.data?.profiles ?? []).map((p) => ({ value: p.type === "APPLICATION" ? p.arn : p.id, label: p.name, description: p.id })) },
    { label: t("onDemand"), options: (choices.data?.models ?? []).map((x) => ({ value: x.modelId!, label: x.modelName!, description: x.modelId })) },
  ];
  const tokens = Math.min(Math.max(1, Math.floor(Number(maxTokens)) || 512), 64_000);
  const asked = (prompt: string): Asked => ({
    modelId: model,
    system: system.trim() ? [{ text: system }] : undefined,
    messages: [
      // what failed or was stopped before anything came is not part of the conversation
      ...turns.filter((x) => x.answer.text).flatMap((x) => [
        { role: "user" as const, content: [{ text: x.prompt }] },
        { role: "assistant" as const, content: [{ text: x.answer.text }] },
      ]),
      { role: "user", content: [{ text: prompt }] },
    ],
    inferenceConfig: { maxTokens: tokens, temperature },
  });

  const send = async (prompt: string) => {
    if (!prompt.trim() || !model || busy) return;
    const id = Date.now();
    const body = asked(prompt);
    const change = (f: (a: Answer) => Partial<Answer>) => setTurns((all) => all.map((x) => (x.id === id ? { ...x, answer: { ...x.answer, ...f(x.answer) } } : x)));
    setTurns((all) => [...all, { id, prompt, answer: { text: "" } }]);
    setText("");
    setBusy(true);
    const mine = (abort.current = new AbortController());
    const began = performance.now();
    const at = new Date();
    let requestId: string | undefined;
    try {
      const { m, c } = await runtime();
      const r = await c.send(new m.ConverseStreamCommand(body), { abortSignal: mine.signal });
      requestId = r.$metadata.requestId;
      for await (const e of r.stream!) {
        const more = e.contentBlockDelta?.delta?.text;
        if (more) change((a) => ({ text: a.text + more, first: a.first ?? Math.round(performance.now() - began) }));
        if (e.metadata?.usage) change(() => ({ input: e.metadata!.usage!.inputTokens, output: e.metadata!.usage!.outputTokens }));
      }
      change(() => ({ total: Math.round(performance.now() - began) }));
    } catch (e) {
      if (mine.signal.aborted) change(() => ({ stopped: true }));
      else {
        noteError(e);
        requestId ??= (e as { $metadata?: { requestId?: string } }).$metadata?.requestId;
        change(() => ({ error: e }));
      }
    } finally {
      setBusy(false);
    }
    if (requestId) {
      const record = await ofRequest(requestId, "ConverseStream", at).catch(() => undefined);
      change(() => ({ record: record ?? "unknown" }));
    }
  };
  const last = turns.at(-1)?.answer;
  const snippet = { ...asked(text.trim() || "Hello"), region: current().region, endpoint };
  return (
    <ContentLayout
      header={
        <Header
          variant="h1"
          actions={
            <SpaceBetween direction="horizontal" size="xs">
              <Button onClick={() => showRequest(true)} disabled={!model}>
                {t("viewRequest")}
              </Button>
              <Button onClick={() => setTurns([])} disabled={busy || turns.length === 0}>
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
        <Problem error={choices.error} retry={choices.reload} />
        <Grid gridDefinition={[{ colspan: { default: 12, s: 4 } }, { colspan: { default: 12, s: 8 } }]}>
          <Container>
            <SpaceBetween size="m">
              <FormField label={t("model")}>
                <Select
                  selectedOption={options.flatMap((g) => g.options).find((o) => o.value === model) ?? (model ? { value: model, label: model } : null)}
                  options={options}
                  onChange={(e) => setQuery({ model: e.detail.selectedOption.value! }, { replace: true })}
                  placeholder={t("chooseModel")}
                  filteringType="auto"
                  statusType={choices.loading ? "loading" : "finished"}
                />
              </FormField>
              {profile && (
                <FormField label={t("destinations")}>
                  <SpaceBetween direction="horizontal" size="xxs">
                    {destinations(profile).map((r) => (
                      <Badge key={r} color={last?.record && last.record !== "unknown" && last.record.served === r ? "green" : "grey"}>
                        {r || t("anyRegion")}
                      </Badge>
                    ))}
                  </SpaceBetween>
                </FormField>
              )}
              <FormField label={t("systemPrompt")}>
                <Textarea value={system} onChange={(e) => setSystem(e.detail.value)} rows={3} />
              </FormField>
              <FormField label={`${t("temperature")}: ${temperature}`}>
                <Slider value={temperature} min={0} max={1} step={0.1} onChange={(e) => setTemperature(e.detail.value)} ariaLabel={t("temperature")} />
              </FormField>
              <FormField label={t("maxTokens")}>
                <Input type="number" value={maxTokens} onChange={(e) => setMaxTokens(e.detail.value)} />
              </FormField>
            </SpaceBetween>
          </Container>
          <SpaceBetween size="m">
            <Container>
              <div className="chat" tabIndex={0} role="log" aria-label={t("playground")}>
                {turns.length === 0 && (
                  <Box textAlign="center" padding="xxl" color="text-body-secondary">
                    {t("emptyChat")}
                  </Box>
                )}
                {turns.map((x, i) => {
                  const working = busy && i === turns.length - 1;
                  return (
                    <SpaceBetween size="s" key={x.id}>
                      <ChatBubble type="outgoing" ariaLabel={t("you")} avatar={<Avatar ariaLabel={t("you")} iconName="user-profile" />}>
                        <div className="msg">{x.prompt}</div>
                      </ChatBubble>
                      {(x.answer.text || working) && (
                        <ChatBubble
                          type="incoming"
                          ariaLabel={t("assistant")}
                          showLoadingBar={working}
                          avatar={<Avatar ariaLabel={t("assistant")} color="gen-ai" iconName="gen-ai" loading={working} />}
                        >
                          <div className="msg">{x.answer.text || t("generating")}</div>
                          <Meta a={x.answer} working={working} />
                        </ChatBubble>
                      )}
                      {x.answer.error !== undefined && <Problem error={x.answer.error} />}
                    </SpaceBetween>
                  );
                })}
              </div>
            </Container>
            <LiveRegion hidden>{busy ? t("generating") : (last?.text ?? "")}</LiveRegion>
            <PromptInput
              value={text}
              onChange={(e) => setText(e.detail.value)}
              onAction={(e) => void send(e.detail.value)}
              ariaLabel={t("prompt")}
              placeholder={model ? t("promptPlaceholder") : t("chooseModel")}
              actionButtonIconName="send"
              actionButtonAriaLabel={t("send")}
              disabled={!model}
              disableActionButton={busy || !text.trim()}
              minRows={2}
              maxRows={8}
              secondaryActions={
                busy ? (
                  <Box padding="xxs">
                    <Button variant="inline-icon" iconName="status-stopped" ariaLabel={t("stopGenerating")} onClick={() => abort.current?.abort()} />
                  </Box>
                ) : undefined
              }
            />
          </SpaceBetween>
        </Grid>
      </SpaceBetween>
      {request && (
        <Modal visible size="large" header={t("viewRequest")} closeAriaLabel={t("close")} onDismiss={() => showRequest(false)}>
          <Tabs
            tabs={[
              { id: "cli", label: "AWS CLI", text: asCli(snippet) },
              { id: "python", label: "Python (boto3)", text: asPython(snippet) },
              { id: "js", label: "JavaScript", text: asJavaScript(snippet) },
            ].map((x) => ({
              id: x.id,
              label: x.label,
              content: (
                <SpaceBetween size="xs">
                  <Copy text={x.text} label={t("copy")} />
                  <Code text={x.text} />
                </SpaceBetween>
              ),
            }))}
          />
        </Modal>
      )}
    </ContentLayout>
  );
}

function Meta({ a, working }: { a: Answer; working: boolean }) {
  const { t } = useI18n();
  const r = a.record === "unknown" ? undefined : a.record;
  return (
    <div className="meta">
      {r?.served ? <Badge color="green">{t("answeredIn", { region: r.served })}</Badge> : a.record === "unknown" ? <span>{t("answeredUnknown")}</span> : !working && <span>{t("answeredPending")}</span>}
      {a.input !== undefined && <span>{t("tokensInOut", { i: a.input, o: a.output ?? 0 })}</span>}
      {a.first !== undefined && <span>{t("firstToken", { ms: a.first })}</span>}
      {a.total !== undefined && <span>{t("totalTime", { ms: a.total })}</span>}
      {a.stopped && <span>{t("stopped")}</span>}
      {r && <Go href={to.record(r.id)}>{t("openRecord")}</Go>}
    </div>
  );
}
