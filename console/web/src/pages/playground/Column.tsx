import { useState } from "react";
import Avatar from "@cloudscape-design/chat-components/avatar";
import ChatBubble from "@cloudscape-design/chat-components/chat-bubble";
import Badge from "@cloudscape-design/components/badge";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import FormField from "@cloudscape-design/components/form-field";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Textarea from "@cloudscape-design/components/textarea";
import { Code, Go, pretty, Problem, to } from "../../app/parts";
import { useI18n } from "../../i18n";
import { useTexts } from "../../i18n/page";
import texts from "../../i18n/pages/playground";
import type { Call, Result } from "../../model/converse";
import type { Chat, Said } from "./chat";

// Column is a conversation, with what is known of each answer.
export default function Column({ chat, name, onResults }: { chat: Chat; name: string; onResults: (r: Result[]) => void }) {
  const { t } = useI18n();
  const say = useTexts(texts);
  const last = chat.turns.at(-1);
  return (
    <div className="chat" tabIndex={0} role="log" aria-label={name || t("playground")}>
      {chat.turns.length === 0 && (
        <Box textAlign="center" padding="xxl" color="text-body-secondary">
          {t("emptyChat")}
        </Box>
      )}
      {chat.turns.map((x) => {
        const working = chat.busy && x === last;
        const a = x.answer;
        return (
          <SpaceBetween size="s" key={x.id}>
            <ChatBubble type="outgoing" ariaLabel={t("you")} avatar={<Avatar ariaLabel={t("you")} iconName="user-profile" />}>
              {x.user.results.map((r) => (
                <div className="mono" key={r.toolUseId}>
                  {r.text}
                </div>
              ))}
              <div className="msg">{x.user.text}</div>
              {x.user.files.length > 0 && (
                <SpaceBetween direction="horizontal" size="xxs">
                  {x.user.files.map((f, i) => (
                    <Badge key={i}>{f.name}</Badge>
                  ))}
                </SpaceBetween>
              )}
            </ChatBubble>
            {(a.text || a.calls.length > 0 || working) && (
              <ChatBubble type="incoming" ariaLabel={t("assistant")} showLoadingBar={working} avatar={<Avatar ariaLabel={t("assistant")} color="gen-ai" iconName="gen-ai" loading={working} />}>
                <div className="msg">{a.text || (working ? t("generating") : a.calls.length ? "" : say("noText"))}</div>
                {a.calls.map((c) => (
                  <div key={c.toolUseId}>
                    <b>{say("call", { name: c.name })}</b>
                    <Code text={pretty(c.input)} />
                  </div>
                ))}
                <Meta a={a} working={working} />
              </ChatBubble>
            )}
            {x === last && !working && a.stop === "tool_use" && <Results calls={a.calls} onSend={onResults} />}
            {a.error !== undefined && <Problem error={a.error} />}
          </SpaceBetween>
        );
      })}
    </div>
  );
}

// Results is where the user answers for the tools.
function Results({ calls, onSend }: { calls: readonly Call[]; onSend: (r: Result[]) => void }) {
  const say = useTexts(texts);
  const [text, setText] = useState<Record<string, string>>({});
  return (
    <SpaceBetween size="xs">
      {calls.map((c) => (
        <FormField key={c.toolUseId} label={say("result", { name: c.name })}>
          <Textarea rows={2} value={text[c.toolUseId] ?? ""} onChange={(e) => setText({ ...text, [c.toolUseId]: e.detail.value })} />
        </FormField>
      ))}
      <Button onClick={() => onSend(calls.map((c) => ({ toolUseId: c.toolUseId, text: text[c.toolUseId] ?? "" })))}>{say("sendResults")}</Button>
    </SpaceBetween>
  );
}

function Meta({ a, working }: { a: Said; working: boolean }) {
  const { t } = useI18n();
  const say = useTexts(texts);
  const r = a.record === "unknown" ? undefined : a.record;
  return (
    <div className="meta">
      {r?.served ? <Badge color="green">{t("answeredIn", { region: r.served })}</Badge> : a.record === "unknown" ? <span>{t("answeredUnknown")}</span> : !working && <span>{t("answeredPending")}</span>}
      {a.input !== undefined && <span>{t("tokensInOut", { i: a.input, o: a.output ?? 0 })}</span>}
      {a.first !== undefined && <span>{t("firstToken", { ms: a.first })}</span>}
      {a.total !== undefined && <span>{t("totalTime", { ms: a.total })}</span>}
      {a.stop !== undefined && a.stop !== "end_turn" && <span>{say("stopReason", { why: a.stop })}</span>}
      {a.stopped && <span>{t("stopped")}</span>}
      {r && <Go href={to.record(r.id)}>{t("openRecord")}</Go>}
    </div>
  );
}
