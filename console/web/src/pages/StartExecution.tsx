import { useState } from "react";
import type { StartSyncExecutionCommandOutput } from "@aws-sdk/client-sfn";
import { useLocation } from "wouter";
import Box from "@cloudscape-design/components/box";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import Select from "@cloudscape-design/components/select";
import Textarea from "@cloudscape-design/components/textarea";
import { sfn } from "../aws/clients";
import Ask from "../app/Ask";
import { Code, duration, pretty, Status, to } from "../app/parts";
import { useI18n } from "../i18n";
import { useTexts } from "../i18n/page";
import machineTexts from "../i18n/pages/machine";

export type Target = { arn: string; label: string };
type Props = { machine: string; input?: string; express?: boolean; targets?: Target[]; onDismiss: () => void };

// StartExecution asks for a name and an input, and for which version where there are some. An
// Express execution is run to its end, and its output shown.
export default function StartExecution({ machine, input = "{}", express = false, targets = [], onDismiss }: Props) {
  const { t } = useI18n();
  const tr = useTexts(machineTexts);
  const [target, setTarget] = useState(machine);
  const [got, setGot] = useState<StartSyncExecutionCommandOutput>();
  const [, go] = useLocation();
  const [name, setName] = useState("");
  const [text, setText] = useState(input);
  let wrong = "";
  try {
    JSON.parse(text || "{}");
  } catch (e) {
    wrong = t("notJson", { why: (e as Error).message });
  }
  const start = async () => {
    const { m, c } = await sfn();
    const asked = { stateMachineArn: target, name: name.trim() || undefined, input: text || "{}" };
    if (express) setGot(await c.send(new m.StartSyncExecutionCommand(asked)));
    else go(to.execution((await c.send(new m.StartExecutionCommand(asked))).executionArn!));
  };
  return (
    <Ask title={t("startExecution")} act={express ? tr("run") : t("startExecution")} onAct={start} onDismiss={onDismiss} ready={wrong === ""}>
        {targets.length > 0 && (
          <FormField label={tr("version")}>
            <Select
              selectedOption={[{ value: machine, label: tr("latest") }, ...targets.map((x) => ({ value: x.arn, label: x.label }))].find((o) => o.value === target)!}
              options={[{ value: machine, label: tr("latest") }, ...targets.map((x) => ({ value: x.arn, label: x.label }))]}
              onChange={(e) => setTarget(e.detail.selectedOption.value!)}
            />
          </FormField>
        )}
        <FormField label={t("executionName")} description={t("executionNameHint")}>
          <Input value={name} onChange={(e) => setName(e.detail.value)} spellcheck={false} />
        </FormField>
        <FormField label={t("inputJson")} errorText={wrong}>
          <div className="code-area">
          <Textarea value={text} onChange={(e) => setText(e.detail.value)} rows={10} spellcheck={false} />
          </div>
        </FormField>
        {express && <Box color="text-body-secondary">{tr("sync")}</Box>}
        {got && (
          <div aria-live="polite">
            <Status status={got.status} /> {duration(got.startDate, got.stopDate, t)} · {tr("billed")} {got.billingDetails?.billedDurationInMilliseconds ?? 0} ms
            {got.error && (
              <Box color="text-status-error">
                {got.error}: {got.cause}
              </Box>
            )}
            <Code text={pretty(got.output)} />
          </div>
        )}
    </Ask>
  );
}
