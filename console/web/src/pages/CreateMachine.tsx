import { useState } from "react";
import { useLocation } from "wouter";
import Alert from "@cloudscape-design/components/alert";
import Button from "@cloudscape-design/components/button";
import Checkbox from "@cloudscape-design/components/checkbox";
import ColumnLayout from "@cloudscape-design/components/column-layout";
import Container from "@cloudscape-design/components/container";
import ContentLayout from "@cloudscape-design/components/content-layout";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import ExpandableSection from "@cloudscape-design/components/expandable-section";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Spinner from "@cloudscape-design/components/spinner";
import later from "../app/later";
import { noteError, sfn } from "../aws/clients";
import { handed } from "../app/handover";
import { Problem, to } from "../app/parts";
import { useI18n, type Key } from "../i18n";
import { useTexts } from "../i18n/page";
import machineTexts from "../i18n/pages/machine";
import Role, { make, noRole } from "./machine/Role";
import SettingsForm, { loggingOf, noSettings } from "./machine/Settings";
import TagsForm, { type TagRow } from "./machine/Tags";

const Workbench = later(() => import("../editor/Workbench"), <Spinner />);

const templates: Record<"templateModel" | "templateHello", object> = {
  templateModel: {
    QueryLanguage: "JSONata",
    StartAt: "Ask Claude",
    States: {
      "Ask Claude": {
        Type: "Task",
        Resource: "arn:aws:states:::bedrock:invokeModel",
        Arguments: {
          ModelId: "jp.anthropic.claude-sonnet-4-5-20250929-v1:0",
          Body: {
            anthropic_version: "bedrock-2023-05-31",
            max_tokens: 200,
            messages: [{ role: "user", content: [{ type: "text", text: "{% $states.input.prompt %}" }] }],
          },
        },
        Output: "{% $states.result.Body.content[0].text %}",
        End: true,
      },
    },
  },
  templateHello: { QueryLanguage: "JSONata", StartAt: "Hello", States: { Hello: { Type: "Pass", Output: { hello: "{% $states.input.name %}" }, End: true } } },
};
const text = (k: keyof typeof templates) => JSON.stringify(templates[k], null, 2);

export default function CreateMachine() {
  const { t } = useI18n();
  const [, go] = useLocation();
  const [from, setFrom] = useState<keyof typeof templates>("templateModel");
  const [definition, setDefinition] = useState(() => handed() ?? text("templateModel"));
  const [name, setName] = useState("");
  const [express, setExpress] = useState(false);
  const tr = useTexts(machineTexts);
  const [role, setRole] = useState(noRole);
  const [settings, setSettings] = useState(noSettings);
  const [tags, setTags] = useState<TagRow[]>([]);
  const [publish, setPublish] = useState(false);
  const [made, setMade] = useState<string>();
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const [tried, setTried] = useState(false);
  // What the role is generated for, and the machine made from.
  const machine = { name: name.trim(), definition, type: express ? "EXPRESS" : "STANDARD", loggingConfiguration: loggingOf(settings), tracingConfiguration: { enabled: settings.tracing } };
  const noRoleYet = role.generate ? !role.made || !role.name.trim() : !role.arn;
  const create = async () => {
    setTried(true);
    if (!name.trim() || noRoleYet) return;
    setBusy(true);
    setError(undefined);
    try {
      let roleArn = role.arn;
      if (role.generate) {
        roleArn = await make(role);
        setMade(role.name);
        setRole({ ...noRole, arn: roleArn });
      }
      const { m, c } = await sfn();
      const { loggingConfiguration, tracingConfiguration, ...rest } = machine;
      const r = await c.send(
        new m.CreateStateMachineCommand({
          ...rest,
          type: rest.type as "STANDARD",
          roleArn,
          publish: publish || undefined,
          ...(settings.level === "OFF" ? {} : { loggingConfiguration }),
          ...(settings.tracing ? { tracingConfiguration } : {}),
          ...(tags.length ? { tags: tags.map((x) => ({ key: x.key, value: x.value })) } : {}),
        }),
      );
      go(to.machine(r.stateMachineArn!));
    } catch (e) {
      noteError(e);
      setError(e);
      setBusy(false);
    }
  };
  const type = (id: string, k: Key) => ({ value: id, label: t(k) });
  const types = [type("STANDARD", "standard"), type("EXPRESS", "express")];
  const starts = [type("templateModel", "templateModel"), type("templateHello", "templateHello")];
  return (
    <ContentLayout
      header={
        <Header
          variant="h1"
          description={t("createHint")}
          actions={
            <SpaceBetween direction="horizontal" size="xs">
              <Button variant="link" onClick={() => go("/state-machines")}>
                {t("cancel")}
              </Button>
              <Button variant="primary" onClick={() => void create()} loading={busy}>
                {t("create")}
              </Button>
            </SpaceBetween>
          }
        >
          {t("create")}
        </Header>
      }
    >
      <SpaceBetween size="m">
        {made && <Alert type="info">{tr("roleMade", { role: made })}</Alert>}
        <Problem error={error} />
        <Container>
          <ColumnLayout columns={2}>
            <FormField label={t("name")} errorText={tried && !name.trim() ? t("required") : ""}>
              <Input value={name} onChange={(e) => setName(e.detail.value)} spellcheck={false} />
            </FormField>
            <FormField label={t("type")}>
              <Select selectedOption={types[express ? 1 : 0]!} options={types} onChange={(e) => setExpress(e.detail.selectedOption.value === "EXPRESS")} />
            </FormField>
            <FormField label={t("template")}>
              <Select
                selectedOption={starts.find((s) => s.value === from)!}
                options={starts}
                onChange={(e) => {
                  const k = e.detail.selectedOption.value as keyof typeof templates;
                  setFrom(k);
                  setDefinition(text(k));
                }}
              />
            </FormField>
            <FormField label={tr("versions")}>
              <Checkbox checked={publish} onChange={(e) => setPublish(e.detail.checked)} description={tr("publishHint")}>
                {tr("publish")}
              </Checkbox>
            </FormField>
          </ColumnLayout>
        </Container>
        <Container>
          <Role value={role} onChange={setRole} machine={machine} error={tried && noRoleYet ? (role.generate ? tr("roleNeedsPolicy") : t("required")) : ""} />
        </Container>
        <ExpandableSection variant="container" headerText={`${tr("logging")} · ${tr("tracing")} · ${tr("tags")}`}>
          <SpaceBetween size="l">
            <SettingsForm value={settings} onChange={setSettings} />
            <TagsForm value={tags} onChange={setTags} />
          </SpaceBetween>
        </ExpandableSection>
        <Workbench value={definition} onChange={setDefinition} express={express} />
      </SpaceBetween>
    </ContentLayout>
  );
}
