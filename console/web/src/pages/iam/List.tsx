import { useState } from "react";
import { useLocation } from "wouter";
import Badge from "@cloudscape-design/components/badge";
import Button from "@cloudscape-design/components/button";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { iam } from "../../aws/clients";
import { entities, isAws, managed, type Kind } from "../../aws/people";
import Ask from "../../app/Ask";
import { useLoad } from "../../app/load";
import { Arn, Command, Empty, Go, Problem, to } from "../../app/parts";
import List from "../../app/table";
import { services } from "../../model/trust";
import { useI18n } from "../../i18n";
import { useTexts } from "../../i18n/page";
import texts from "../../i18n/pages/iam";
import PolicyEditor from "./PolicyEditor";

type Shown = Kind | "policy";
type Row = { name: string; arn: string; created?: Date; description?: string; extra: string[]; custom: boolean };
const blank = '{\n  "Version": "2012-10-17",\n  "Statement": [\n    {\n      "Effect": "Allow",\n      "Action": "states:StartExecution",\n      "Resource": "*"\n    }\n  ]\n}';

export default function IamList({ kind }: { kind: Shown }) {
  const { t, time } = useI18n();
  const say = useTexts(texts);
  const [making, make] = useState(false);
  const title = { role: say("roles"), user: say("users"), policy: say("policies") }[kind];
  const create = { role: say("createRole"), user: say("createUser"), policy: say("createPolicy") }[kind];
  const { data, error, loading, reload } = useLoad(async (): Promise<{ items: Row[]; more: boolean }> => {
    if (kind === "policy") {
      const r = await managed();
      return { more: r.more, items: r.items.map((p) => ({ ...p, extra: [isAws(p.arn) ? say("awsManaged") : say("customer"), String(p.attachments)], custom: !isAws(p.arn) })).sort((a, b) => Number(b.custom) - Number(a.custom)) };
    }
    const r = await entities(kind);
    return { more: r.more, items: r.items.map((e) => ({ ...e, extra: services(e.trust), custom: true })) };
  }, [kind]);
  const button = (
    <Button variant="primary" onClick={() => make(true)}>
      {create}
    </Button>
  );
  return (
    <SpaceBetween size="m">
      <Problem error={error} retry={reload} />
      <List
        name={kind}
        label={title}
        items={data?.items ?? []}
        loading={loading}
        trackBy={(r) => r.arn}
        find={{ text: say("find") }}
        variant="full-page"
        text={(r) => `${r.name} ${r.arn}`}
        header={
          <Header
            variant="h1"
            description={{ role: say("rolesHint"), user: say("usersHint"), policy: say("policiesHint") }[kind]}
            counter={data && `(${data.items.length}${data.more ? "+" : ""})`}
            actions={
              <SpaceBetween direction="horizontal" size="xs">
                <Button iconName="refresh" ariaLabel={t("refresh")} onClick={reload} loading={loading} />
                {button}
              </SpaceBetween>
            }
          >
            {title}
          </Header>
        }
        empty={
          <Empty title={say("none")}>
            {kind === "role" && say("noneRole")}
            <Command text={{ role: "aws iam create-role --role-name NAME --assume-role-policy-document file://trust.json", user: "aws iam create-user --user-name NAME", policy: "aws iam create-policy --policy-name NAME --policy-document file://policy.json" }[kind]} />
            {button}
          </Empty>
        }
        columns={[
          { id: "name", header: t("name"), cell: (r) => <Go href={to.iam(kind, kind === "policy" ? r.arn : r.name)}>{r.name}</Go>, sortingField: "name", isRowHeader: true },
          ...(kind === "role"
            ? [{ id: "trust", header: say("trusted"), cell: (r: Row) => <SpaceBetween direction="horizontal" size="xxs">{r.extra.map((s) => <Badge key={s}>{s}</Badge>)}</SpaceBetween> }]
            : kind === "policy"
              ? [
                  { id: "kind", header: say("kind"), cell: (r: Row) => r.extra[0] },
                  { id: "used", header: say("usedBy"), cell: (r: Row) => r.extra[1] },
                ]
              : []),
          { id: "arn", header: t("arn"), cell: (r) => <Arn arn={r.arn} />, minWidth: 220 },
          { id: "created", header: say("created"), cell: (r) => time(r.created), sortingField: "created" },
        ]}
      />
      {making && <Create kind={kind} title={create} onDismiss={() => make(false)} />}
    </SpaceBetween>
  );
}

function Create({ kind, title, onDismiss }: { kind: Shown; title: string; onDismiss: () => void }) {
  const { t } = useI18n();
  const say = useTexts(texts);
  const [, go] = useLocation();
  const [name, setName] = useState("");
  const [service, setService] = useState("states.amazonaws.com");
  const [document, setDocument] = useState(blank);
  const act = async () => {
    const { m, c } = await iam();
    let id = name.trim();
    if (kind === "user") await c.send(new m.CreateUserCommand({ UserName: id }));
    else if (kind === "policy") id = (await c.send(new m.CreatePolicyCommand({ PolicyName: id, PolicyDocument: document }))).Policy!.Arn!;
    else
      await c.send(
        new m.CreateRoleCommand({
          RoleName: id,
          AssumeRolePolicyDocument: JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: "Allow", Principal: { Service: service.trim() }, Action: "sts:AssumeRole" }] }),
        }),
      );
    go(to.iam(kind, id));
  };
  return (
    <Ask title={title} act={say("create")} onAct={act} onDismiss={onDismiss} ready={name.trim() !== ""} size={kind === "policy" ? "large" : "medium"}>
      <FormField label={t("name")}>
        <Input value={name} onChange={(e) => setName(e.detail.value)} spellcheck={false} autoFocus />
      </FormField>
      {kind === "role" && (
        <FormField label={say("trustedService")}>
          <Input value={service} onChange={(e) => setService(e.detail.value)} spellcheck={false} />
        </FormField>
      )}
      {kind === "policy" && <PolicyEditor value={document} kind="identity" onChange={setDocument} />}
    </Ask>
  );
}
