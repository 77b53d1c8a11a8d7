import { useState } from "react";
import { useLocation } from "wouter";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import Modal from "@cloudscape-design/components/modal";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Textarea from "@cloudscape-design/components/textarea";
import { noteError, sfn } from "../aws/clients";
import { Problem, to } from "../app/parts";
import { useI18n } from "../i18n";

export default function StartExecution({ machine, input = "{}", onDismiss }: { machine: string; input?: string; onDismiss: () => void }) {
  const { t } = useI18n();
  const [, go] = useLocation();
  const [name, setName] = useState("");
  const [text, setText] = useState(input);
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  let wrong = "";
  try {
    JSON.parse(text || "{}");
  } catch (e) {
    wrong = t("notJson", { why: (e as Error).message });
  }
  const start = async () => {
    setBusy(true);
    setError(undefined);
    try {
      const { m, c } = await sfn();
      const r = await c.send(new m.StartExecutionCommand({ stateMachineArn: machine, name: name.trim() || undefined, input: text || "{}" }));
      go(to.execution(r.executionArn!));
    } catch (e) {
      noteError(e);
      setError(e);
      setBusy(false);
    }
  };
  return (
    <Modal
      visible
      header={t("startExecution")}
      closeAriaLabel={t("close")}
      onDismiss={onDismiss}
      footer={
        <Box float="right">
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" onClick={onDismiss}>
              {t("cancel")}
            </Button>
            <Button variant="primary" onClick={() => void start()} loading={busy} disabled={wrong !== ""}>
              {t("startExecution")}
            </Button>
          </SpaceBetween>
        </Box>
      }
    >
      <SpaceBetween size="m">
        <Problem error={error} />
        <FormField label={t("executionName")} description={t("executionNameHint")}>
          <Input value={name} onChange={(e) => setName(e.detail.value)} spellcheck={false} />
        </FormField>
        <FormField label={t("inputJson")} errorText={wrong}>
          <Textarea value={text} onChange={(e) => setText(e.detail.value)} rows={10} spellcheck={false} />
        </FormField>
      </SpaceBetween>
    </Modal>
  );
}
