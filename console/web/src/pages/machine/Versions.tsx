// Versions and aliases of a state machine.
import { useState } from "react";
import type { StateMachineVersionListItem } from "@aws-sdk/client-sfn";
import Alert from "@cloudscape-design/components/alert";
import Button from "@cloudscape-design/components/button";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table from "@cloudscape-design/components/table";
import { sfn } from "../../aws/clients";
import Ask from "../../app/Ask";
import { pages, useLoad } from "../../app/load";
import { Command, Copy, Empty, Problem } from "../../app/parts";
import { useI18n } from "../../i18n";
import { useTexts } from "../../i18n/page";
import machineTexts from "../../i18n/pages/machine";

const versionOf = (arn: string | undefined) => arn?.split(":")[7] ?? "";

export type Aliased = { arn: string; name: string; description?: string; routes: { arn: string; weight: number }[]; created?: Date };
export type Known = { versions: StateMachineVersionListItem[]; aliases: Aliased[] };

// known lists the versions and aliases of a machine.
export async function known(stateMachineArn: string, abortSignal: AbortSignal): Promise<Known> {
  const { m, c } = await sfn();
  const [versions, aliases] = await Promise.all([
    pages(10, async (nextToken) => {
      const r = await c.send(new m.ListStateMachineVersionsCommand({ stateMachineArn, maxResults: 1000, nextToken }), { abortSignal });
      return { items: r.stateMachineVersions ?? [], next: r.nextToken };
    }),
    pages(10, async (nextToken) => {
      const r = await c.send(new m.ListStateMachineAliasesCommand({ stateMachineArn, maxResults: 1000, nextToken }), { abortSignal });
      return { items: r.stateMachineAliases ?? [], next: r.nextToken };
    }),
  ]);
  const full = await Promise.all(
    aliases.items.map(async (a): Promise<Aliased> => {
      const d = await c.send(new m.DescribeStateMachineAliasCommand({ stateMachineAliasArn: a.stateMachineAliasArn }), { abortSignal });
      return {
        arn: d.stateMachineAliasArn!,
        name: d.name!,
        description: d.description,
        created: d.creationDate,
        routes: (d.routingConfiguration ?? []).map((r) => ({ arn: r.stateMachineVersionArn!, weight: r.weight! })),
      };
    }),
  );
  return { versions: versions.items, aliases: full };
}

type Change = { kind: "publish" } | { kind: "alias"; had?: Aliased } | { kind: "drop"; arn: string; label: string; alias: boolean };

export default function Versions({ arn, revisionId, what }: { arn: string; revisionId?: string; what: "versions" | "aliases" }) {
  const { t, time } = useI18n();
  const tr = useTexts(machineTexts);
  const [change, setChange] = useState<Change>();
  const all = useLoad((signal) => known(arn, signal), [arn]);
  const done = () => {
    setChange(undefined);
    all.reload();
  };
  const versions = all.data?.versions ?? [];
  const aliases = all.data?.aliases ?? [];
  const publish = <Button onClick={() => setChange({ kind: "publish" })}>{tr("publish")}</Button>;
  return (
    <SpaceBetween size="m">
      <Problem error={all.error} retry={all.reload} />
      {what === "versions" ? (
        <Table
          items={versions}
          loading={all.loading && !all.data}
          loadingText={t("loading")}
          trackBy={(v) => v.stateMachineVersionArn!}
          header={
            <Header variant="h2" counter={`(${versions.length})`} description={tr("publishHint")} actions={publish}>
              {tr("versions")}
            </Header>
          }
          empty={
            <Empty title={tr("noVersions")}>
              {tr("noVersionsHint")}
              <Command text={`aws stepfunctions publish-state-machine-version --state-machine-arn ${arn}`} />
            </Empty>
          }
          columnDefinitions={[
            { id: "v", header: t("name"), cell: (v) => versionOf(v.stateMachineVersionArn), isRowHeader: true },
            { id: "c", header: t("created"), cell: (v) => time(v.creationDate) },
            { id: "a", header: tr("aliases"), cell: (v) => aliases.filter((a) => a.routes.some((r) => r.arn === v.stateMachineVersionArn)).map((a) => a.name).join(", ") || "–" },
            { id: "arn", header: t("arn"), cell: (v) => <Copy text={v.stateMachineVersionArn!} /> },
            {
              id: "x",
              header: tr("actions"),
              cell: (v) => (
                <Button variant="inline-link" ariaLabel={`${tr("delete")}: ${versionOf(v.stateMachineVersionArn)}`} onClick={() => setChange({ kind: "drop", arn: v.stateMachineVersionArn!, label: versionOf(v.stateMachineVersionArn), alias: false })}>
                  {tr("delete")}
                </Button>
              ),
            },
          ]}
        />
      ) : (
        <Table
          items={aliases}
          loading={all.loading && !all.data}
          loadingText={t("loading")}
          trackBy={(a) => a.arn}
          header={
            <Header
              variant="h2"
              counter={`(${aliases.length})`}
              actions={
                <Button onClick={() => setChange({ kind: "alias" })} disabled={versions.length === 0}>
                  {tr("createAlias")}
                </Button>
              }
            >
              {tr("aliases")}
            </Header>
          }
          empty={
            <Empty title={tr("noAliases")}>
              {tr("noAliasesHint")}
              {versions.length === 0 && publish}
            </Empty>
          }
          columnDefinitions={[
            { id: "n", header: t("name"), cell: (a) => a.name, isRowHeader: true },
            { id: "r", header: tr("routes"), cell: (a) => a.routes.map((r) => `${versionOf(r.arn)}: ${r.weight}%`).join(", ") },
            { id: "d", header: tr("description"), cell: (a) => a.description || "–" },
            { id: "arn", header: t("arn"), cell: (a) => <Copy text={a.arn} /> },
            {
              id: "x",
              header: tr("actions"),
              cell: (a) => (
                <SpaceBetween direction="horizontal" size="s">
                  <Button variant="inline-link" ariaLabel={`${tr("change")}: ${a.name}`} onClick={() => setChange({ kind: "alias", had: a })}>
                    {tr("change")}
                  </Button>
                  <Button variant="inline-link" ariaLabel={`${tr("delete")}: ${a.name}`} onClick={() => setChange({ kind: "drop", arn: a.arn, label: a.name, alias: true })}>
                    {tr("delete")}
                  </Button>
                </SpaceBetween>
              ),
            },
          ]}
        />
      )}
      {change && <ChangeForm change={change} arn={arn} revisionId={revisionId} versions={versions} onDone={done} onDismiss={() => setChange(undefined)} />}
    </SpaceBetween>
  );
}

function ChangeForm({ change, arn, revisionId, versions, onDone, onDismiss }: { change: Change; arn: string; revisionId?: string; versions: StateMachineVersionListItem[]; onDone: () => void; onDismiss: () => void }) {
  const { t } = useI18n();
  const tr = useTexts(machineTexts);
  const had = change.kind === "alias" ? change.had : undefined;
  const [name, setName] = useState(had?.name ?? "");
  const [description, setDescription] = useState(had?.description ?? "");
  const [first, setFirst] = useState(had?.routes[0]?.arn ?? versions[0]?.stateMachineVersionArn ?? "");
  const [second, setSecond] = useState(had?.routes[1]?.arn ?? "");
  const [weight, setWeight] = useState(String(had?.routes[0]?.weight ?? 100));
  const go = async () => {
    const { m, c } = await sfn();
      if (change.kind === "publish") await c.send(new m.PublishStateMachineVersionCommand({ stateMachineArn: arn, description: description || undefined, revisionId }));
      else if (change.kind === "drop") await c.send(change.alias ? new m.DeleteStateMachineAliasCommand({ stateMachineAliasArn: change.arn }) : (new m.DeleteStateMachineVersionCommand({ stateMachineVersionArn: change.arn }) as never));
      else {
        const w = second ? Number(weight) : 100;
        const routingConfiguration = [{ stateMachineVersionArn: first, weight: w }, ...(second ? [{ stateMachineVersionArn: second, weight: 100 - w }] : [])];
        await c.send(
          had
            ? new m.UpdateStateMachineAliasCommand({ stateMachineAliasArn: had.arn, description, routingConfiguration })
            : (new m.CreateStateMachineAliasCommand({ name: name.trim(), description: description || undefined, routingConfiguration }) as never),
        );
      }
      onDone();
  };
  const options = versions.map((v) => ({ value: v.stateMachineVersionArn!, label: versionOf(v.stateMachineVersionArn) }));
  const title = change.kind === "publish" ? tr("publish") : change.kind === "drop" ? tr("deleteTitle", { name: change.label }) : had ? tr("editAlias", { name: had.name }) : tr("createAlias");
  const label = change.kind === "publish" ? tr("publish") : change.kind === "drop" ? tr("delete") : t("save");
  return (
    <Ask title={title} act={label} onAct={go} onDismiss={onDismiss} ready={change.kind !== "alias" || (name.trim() !== "" && first !== "")}>
        {change.kind === "drop" && <Alert type="warning">{change.arn}</Alert>}
        {change.kind === "alias" && (
          <SpaceBetween size="m">
            {!had && (
              <FormField label={tr("aliasName")}>
                <Input value={name} onChange={(e) => setName(e.detail.value)} spellcheck={false} />
              </FormField>
            )}
            <FormField label={tr("firstVersion")}>
              <Select selectedOption={options.find((o) => o.value === first) ?? null} options={options} onChange={(e) => setFirst(e.detail.selectedOption.value!)} />
            </FormField>
            <FormField label={tr("secondVersion")}>
              <Select
                selectedOption={options.find((o) => o.value === second) ?? { value: "", label: tr("none") }}
                options={[{ value: "", label: tr("none") }, ...options.filter((o) => o.value !== first)]}
                onChange={(e) => {
                  setSecond(e.detail.selectedOption.value!);
                  if (weight === "100") setWeight("90");
                }}
              />
            </FormField>
            {second && (
              <FormField label={tr("weight")} description={tr("weightHint", { rest: 100 - Number(weight) })}>
                <Input type="number" value={weight} onChange={(e) => setWeight(e.detail.value)} />
              </FormField>
            )}
          </SpaceBetween>
        )}
        {change.kind !== "drop" && (
          <FormField label={tr("description")}>
            <Input value={description} onChange={(e) => setDescription(e.detail.value)} />
          </FormField>
        )}
    </Ask>
  );
}
