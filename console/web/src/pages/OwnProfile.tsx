import { useState } from "react";
import { useLocation } from "wouter";
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import Ask from "../app/Ask";
import { bedrock } from "../aws/clients";
import { to } from "../app/parts";
import { useI18n } from "../i18n";
import { useTexts } from "../i18n/page";
import texts from "../i18n/pages/bedrock";

// OwnProfile makes an application inference profile of another one, or deletes one.
export default function OwnProfile({ name, arn, remove, onDismiss }: { name: string; arn: string; remove: boolean; onDismiss: () => void }) {
  const { t } = useI18n();
  const say = useTexts(texts);
  const [, go] = useLocation();
  const [f, setF] = useState({ name: "", description: "" });
  const title = say(remove ? "deleteProfile" : "copyProfile");
  const act = async () => {
    const { m, c } = await bedrock();
    if (remove) {
      await c.send(new m.DeleteInferenceProfileCommand({ inferenceProfileIdentifier: arn }));
      return go("/profiles");
    }
    const r = await c.send(new m.CreateInferenceProfileCommand({ inferenceProfileName: f.name.trim(), description: f.description.trim() || undefined, modelSource: { copyFrom: arn } }));
    onDismiss();
    go(to.profile(r.inferenceProfileArn!));
  };
  return (
    <Ask title={title} act={title} onAct={act} onDismiss={onDismiss} ready={remove || f.name.trim() !== ""}>
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
    </Ask>
  );
}
