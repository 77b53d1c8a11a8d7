import { lazy, Suspense, useState } from "react";
import { useLocation } from "wouter";
import Button from "@cloudscape-design/components/button";
import ColumnLayout from "@cloudscape-design/components/column-layout";
import Container from "@cloudscape-design/components/container";
import ContentLayout from "@cloudscape-design/components/content-layout";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Spinner from "@cloudscape-design/components/spinner";
import { iam, noteError, sfn } from "../aws/clients";
import { pages, useLoad } from "../app/load";
import { Problem, to } from "../app/parts";
import { useI18n, type Key } from "../i18n";

const Workbench = lazy(() => import("../editor/Workbench"));

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
  const [definition, setDefinition] = useState(() => text("templateModel"));
  const [name, setName] = useState("");
  const [express, setExpress] = useState(false);
  const [role, setRole] = useState("");
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const [tried, setTried] = useState(false);
  const roles = useLoad(async (abortSignal) => {
    const { m, c } = await iam();
    const all = await pages(20, async (Marker) => {
      const r = await c.send(new m.ListRolesCommand({ Marker }), { abortSignal });
      return { items: r.Roles ?? [], next: r.Marker };
    });
    // those that Step Functions may assume first; the server has the last word
    const ours = (d = "") => decodeURIComponent(d).includes("states.amazonaws.com");
    return all.items.filter((r) => ours(r.AssumeRolePolicyDocument)).map((r) => ({ value: r.Arn!, label: r.RoleName!, description: r.Arn }));
  }, []);
  const create = async () => {
    setTried(true);
    if (!name.trim() || !role) return;
    setBusy(true);
    setError(undefined);
    try {
      const { m, c } = await sfn();
      const r = await c.send(new m.CreateStateMachineCommand({ name: name.trim(), roleArn: role, definition, type: express ? "EXPRESS" : "STANDARD" }));
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
        <Problem error={error} />
        <Container>
          <ColumnLayout columns={2}>
            <FormField label={t("name")} errorText={tried && !name.trim() ? t("required") : ""}>
              <Input value={name} onChange={(e) => setName(e.detail.value)} spellcheck={false} />
            </FormField>
            <FormField label={t("type")}>
              <Select selectedOption={types[express ? 1 : 0]!} options={types} onChange={(e) => setExpress(e.detail.selectedOption.value === "EXPRESS")} />
            </FormField>
            <FormField label={t("role")} errorText={tried && !role ? t("required") : roles.error ? (roles.error as Error).message : ""}>
              <Select
                selectedOption={roles.data?.find((r) => r.value === role) ?? null}
                options={roles.data ?? []}
                onChange={(e) => setRole(e.detail.selectedOption.value!)}
                placeholder={t("chooseRole")}
                empty={t("noRoles")}
                statusType={roles.loading ? "loading" : "finished"}
                filteringType="auto"
              />
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
          </ColumnLayout>
        </Container>
        <Suspense fallback={<Spinner />}>
          <Workbench value={definition} onChange={setDefinition} express={express} />
        </Suspense>
      </SpaceBetween>
    </ContentLayout>
  );
}
