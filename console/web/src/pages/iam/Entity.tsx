import { useState } from "react";
import Alert from "@cloudscape-design/components/alert";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import ContentLayout from "@cloudscape-design/components/content-layout";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Spinner from "@cloudscape-design/components/spinner";
import Table from "@cloudscape-design/components/table";
import Tabs from "@cloudscape-design/components/tabs";
import later from "../../app/later";
import { noteError } from "../../aws/clients";
import { attach, deleteInline, detach, entity, isAws, managed, putInline, putTrust, type Entity as Who, type Held, type Kind } from "../../aws/people";
import Ask from "../../app/Ask";
import { useLoad } from "../../app/load";
import { Command, Empty, Go, Ids, Problem, to } from "../../app/parts";
import { useI18n } from "../../i18n";
import { useTexts } from "../../i18n/page";
import texts from "../../i18n/pages/iam";
import { SimulatorForm } from "./Simulator";

const PolicyEditor = later(() => import("./PolicyEditor"), <Spinner />);
const blank = '{\n  "Version": "2012-10-17",\n  "Statement": [\n    {\n      "Effect": "Allow",\n      "Action": "bedrock:InvokeModel",\n      "Resource": []\n    }\n  ]\n}';

export default function Entity({ kind, name }: { kind: Kind; name: string }) {
  const { t, time } = useI18n();
  const say = useTexts(texts);
  const { data, error, reload } = useLoad(() => entity(kind, name), [kind, name]);
  const [editing, edit] = useState<{ name?: string; document: string; trust?: boolean }>();
  const [removing, remove] = useState<string>();
  const [attaching, setAttaching] = useState(false);
  const [failed, setFailed] = useState<unknown>();
  const act = async (f: () => Promise<void>) => {
    setFailed(undefined);
    try {
      await f();
      reload();
    } catch (e) {
      noteError(e);
      setFailed(e);
    }
  };
  if (!data) return error ? <Problem error={error} retry={reload} /> : <Spinner size="large" />;
  const { e, held } = data;
  const buttons = (
    <SpaceBetween direction="horizontal" size="xs">
      <Button onClick={() => setAttaching(true)}>{say("attach")}</Button>
      <Button onClick={() => edit({ document: blank })}>{say("addInline")}</Button>
    </SpaceBetween>
  );
  return (
    <ContentLayout header={<Header variant="h1" description={e.description}>{e.name}</Header>}>
      <SpaceBetween size="m">
        <Problem error={failed} />
        <Container>
          <SpaceBetween size="s">
          <KeyValuePairs
            columns={3}
            items={[
              { label: say("created"), value: time(e.created) },
              ...(e.maxSession ? [{ label: say("maxSession"), value: say("hours", { n: e.maxSession / 3600 }) }] : [{ label: say("path"), value: e.path ?? "/" }]),
            ]}
          />
          <Ids items={[[t("arn"), e.arn]]} />
          </SpaceBetween>
        </Container>
        <Tabs
          tabs={[
            {
              id: "permissions",
              label: say("permissions"),
              content: (
                <Table
                  variant="container"
                  header={
                    <Header variant="h2" counter={`(${held.length})`} actions={buttons}>
                      {say("permissions")}
                    </Header>
                  }
                  items={held}
                  trackBy={(h) => h.arn ?? h.name}
                  enableKeyboardNavigation
                  wrapLines
                  ariaLabels={{ tableLabel: say("permissions") }}
                  empty={
                    <Empty title={say("noPermissions")}>
                      {say("noPermissionsHint")}
                      <Command text={`aws iam put-${kind}-policy --${kind}-name ${e.name} --policy-name NAME --policy-document file://policy.json`} />
                    </Empty>
                  }
                  columnDefinitions={[
                    { id: "name", header: say("policy"), isRowHeader: true, cell: (h: Held) => (h.arn ? <Go href={to.iam("policy", h.arn)}>{h.name}</Go> : <Button variant="inline-link" onClick={() => edit({ name: h.name, document: h.document! })}>{h.name}</Button>) },
                    { id: "kind", header: say("kind"), cell: (h) => say(!h.arn ? "inline" : isAws(h.arn) ? "awsManaged" : "customer") },
                    { id: "act", header: t("actions"), cell: (h) => (h.arn ? <Button variant="inline-link" ariaLabel={`${say("detach")}: ${h.name}`} onClick={() => void act(() => detach(e, h.arn!))}>{say("detach")}</Button> : <Button variant="inline-link" ariaLabel={`${say("remove")}: ${h.name}`} onClick={() => remove(h.name)}>{say("remove")}</Button>) },
                  ]}
                />
              ),
            },
            ...(e.trust !== undefined
              ? [
                  {
                    id: "trust",
                    label: say("trust"),
                    content: (
                      <Container header={<Header variant="h2" actions={<Button onClick={() => edit({ document: e.trust!, trust: true })}>{t("edit")}</Button>}>{say("trust")}</Header>}>
                        <PolicyEditor value={e.trust} kind="trust" readOnly height={260} />
                      </Container>
                    ),
                  },
                ]
              : []),
            { id: "simulate", label: say("simulator"), content: <SimulatorForm start={{ principal: e.arn, actions: [], resources: [], keys: [] }} fixed /> },
          ]}
        />
      </SpaceBetween>
      {editing && <Edit who={e} {...editing} onDismiss={() => edit(undefined)} onDone={() => (edit(undefined), reload())} />}
      {attaching && <Attach who={e} has={held} onDismiss={() => setAttaching(false)} onDone={() => (setAttaching(false), reload())} />}
      {removing && (
        <Ask
          title={say("remove")}
          act={say("remove")}
          onDismiss={() => remove(undefined)}
          onAct={async () => {
            await deleteInline(e, removing);
            remove(undefined);
            reload();
          }}
        >
          <Alert type="warning">{say("removeSure", { name: removing })}</Alert>
        </Ask>
      )}
    </ContentLayout>
  );
}

function Edit({ who, name: had, document, trust = false, onDismiss, onDone }: { who: Who; name?: string; document: string; trust?: boolean; onDismiss: () => void; onDone: () => void }) {
  const say = useTexts(texts);
  const [name, setName] = useState(had ?? "");
  const [text, setText] = useState(document);
  return (
    <Ask
      size="large"
      title={trust ? say("trust") : had ? say("edit", { name: had }) : say("addInline")}
      act={say("save")}
      ready={trust || name.trim() !== ""}
      onDismiss={onDismiss}
      onAct={async () => {
        await (trust ? putTrust(who, text) : putInline(who, name.trim(), text));
        onDone();
      }}
    >
      {!trust && had === undefined && (
        <FormField label={say("policyName")}>
          <Input value={name} onChange={(e) => setName(e.detail.value)} spellcheck={false} />
        </FormField>
      )}
      <PolicyEditor value={text} kind={trust ? "trust" : "identity"} onChange={setText} />
    </Ask>
  );
}

function Attach({ who, has, onDismiss, onDone }: { who: Who; has: Held[]; onDismiss: () => void; onDone: () => void }) {
  const say = useTexts(texts);
  const all = useLoad(() => managed(), []);
  const [arn, setArn] = useState("");
  const options = (all.data?.items ?? []).filter((p) => !has.some((h) => h.arn === p.arn)).map((p) => ({ value: p.arn, label: p.name, description: say(isAws(p.arn) ? "awsManaged" : "customer") }));
  return (
    <Ask
      title={say("attach")}
      act={say("attach")}
      ready={arn !== ""}
      onDismiss={onDismiss}
      onAct={async () => {
        await attach(who, arn);
        onDone();
      }}
    >
      <Problem error={all.error} />
      <FormField label={say("policy")}>
        <Select options={options} selectedOption={options.find((o) => o.value === arn) ?? null} onChange={(e) => setArn(e.detail.selectedOption.value!)} filteringType="auto" statusType={all.loading ? "loading" : "finished"} expandToViewport />
      </FormField>
    </Ask>
  );
}
