import { useState } from "react";
import { useLocation } from "wouter";
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import Modal from "@cloudscape-design/components/modal";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { bedrock, noteError } from "../aws/clients";
import { Problem, to } from "../app/parts";
import { useI18n } from "../i18n";
import { useTexts } from "../i18n/page";
import texts from "../i18n/pages/bedrock";

// OwnProfile makes an application inference profile of another one, or deletes one.
export default function OwnProfile({ name, arn, remove, onDismiss }: { name: string; arn: string; remove: boolean; onDismiss: () => void }) {
  const { t } = useI18n();
  const say = useTexts(texts);
  const [, go] = useLocation();
  const [f, setF] = useState({ name: "", description: "" });
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const act = async () => {
    setBusy(true);
    setError(undefined);
    try {
      const { m, c } = await bedrock();
      if (remove) {
        await c.send(new m.DeleteInferenceProfileCommand({ inferenceProfileIdentifier: arn }));
        go("/profiles");
      } else {
        const r = await c.send(new m.CreateInferenceProfileCommand({ inferenceProfileName: f.name.trim(), description: f.description.trim() || undefined, modelSource: { copyFrom: arn } }));
        onDismiss();
        go(to.profile(r.inferenceProfileArn!));
      }
    } catch (e) {
      noteError(e);
      setError(e);
      setBusy(false);
    }
  };
  const title = say(remove ? "deleteProfile" : "copyProfile");
  return (
    <Modal
      visible
      header={title}
      closeAriaLabel={t("close")}
      onDismiss={onDismiss}
      footer={
        <SpaceBetween direction="horizontal" size="xs">
          <Button onClick={onDismiss}>{t("cancel")}</Button>
          <Button variant="primary" loading={busy} disabled={!remove && !f.name.trim()} onClick={() => void act()}>
            {title}
          </Button>
        </SpaceBetween>
      }
    >
      <SpaceBetween size="m">
        <Problem error={error} />
        {remove ? (
          <Alert type="warning">{say("deleteSure", { name })}</Alert>
        ) : (
          <>
            <Box>{say("copyHint", { name })}</Box>
            <FormField label={t("name")}>
              <Input value={f.name} onChange={(e) => setF({ ...f, name: e.detail.value })} spellcheck={false} />
            </FormField>
            <FormField label={say("description")}>
              <Input value={f.description} onChange={(e) => setF({ ...f, description: e.detail.value })} />
            </FormField>
          </>
        )}
      </SpaceBetween>
    </Modal>
  );
}
