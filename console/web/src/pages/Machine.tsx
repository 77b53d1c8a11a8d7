import { useState } from "react";
import { useLocation, useSearchParams } from "wouter";
import Button from "@cloudscape-design/components/button";
import ButtonDropdown from "@cloudscape-design/components/button-dropdown";
import Container from "@cloudscape-design/components/container";
import ContentLayout from "@cloudscape-design/components/content-layout";
import Flashbar from "@cloudscape-design/components/flashbar";
import Header from "@cloudscape-design/components/header";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Spinner from "@cloudscape-design/components/spinner";
import Tabs from "@cloudscape-design/components/tabs";
import later from "../app/later";
import { noteError, sfn } from "../aws/clients";
import { machineOf } from "../aws/reads";
import Ask from "../app/Ask";
import { put, useParam } from "../app/address";
import { pages, useLoad } from "../app/load";
import { Command, duration, Empty, Go, Ids, Problem, Status, statusText, to } from "../app/parts";
import List from "../app/table";
import { useI18n, type Key } from "../i18n";
import { useTexts } from "../i18n/page";
import machineTexts from "../i18n/pages/machine";
import { known } from "./machine/Versions";
import StartExecution from "./StartExecution";

const Workbench = later(() => import("../editor/Workbench"), <Spinner />);
const Config = later(() => import("./machine/Config"), <Spinner />);
const Tags = later(async () => ({ default: (await import("./machine/Config")).Tags }), <Spinner />);
const Versions = later(() => import("./machine/Versions"), <Spinner />);

const statuses = ["", "RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "PENDING_REDRIVE"];
const spans: [string, Key, number | undefined][] = [
  ["", "anyTime", undefined],
  ["1h", "last1h", 3600_000],
  ["24h", "last24h", 24 * 3600_000],
  ["7d", "last7d", 7 * 24 * 3600_000],
];
const pollMs = 3000; // while something runs

export default function Machine({ arn }: { arn: string }) {
  const { t, time } = useI18n();
  const tr = useTexts(machineTexts);
  const [, go] = useLocation();
  const [query, setQuery] = useSearchParams();
  const [starting, setStarting] = useState(false);
  const [draft, setDraft] = useState<string>(); // while it is edited
  const [saving, setSaving] = useState(false);
  const [saved, setSaved] = useState("");
  const [failed, setFailed] = useState<unknown>();
  const [deleting, setDeleting] = useState(false);
  const [status, setStatus] = useParam("status");
  const [since, setSince] = useParam("since");
  const machine = useLoad((signal) => machineOf(arn, signal), [arn]);
  const d = machine.data;
  const express = d?.type === "EXPRESS";
  const tab = draft !== undefined ? "definition" : (query.get("tab") ?? (express ? "definition" : "executions"));
  const runs = useLoad(
    async (abortSignal) => {
      if (d?.type !== "STANDARD" || tab !== "executions") return undefined; // Express executions are not listed
      const { m, c } = await sfn();
      return pages(5, async (nextToken) => {
        const r = await c.send(new m.ListExecutionsCommand({ stateMachineArn: arn, maxResults: 200, nextToken, statusFilter: (status || undefined) as never }), { abortSignal });
        return { items: r.executions ?? [], next: r.nextToken };
      });
    },
    [arn, d?.type, tab, status],
    (x) => (x?.items.some((e) => e.status === "RUNNING") ? pollMs : undefined),
  );
  const others = useLoad((signal) => (starting ? known(arn, signal) : Promise.resolve(undefined)), [arn, starting]);
  const save = async () => {
    setSaving(true);
    setFailed(undefined);
    try {
      const { m, c } = await sfn();
      await c.send(new m.UpdateStateMachineCommand({ stateMachineArn: arn, definition: draft }));
      setDraft(undefined);
      setSaved(t("saved"));
      machine.reload();
    } catch (e) {
      noteError(e);
      setFailed(e);
    } finally {
      setSaving(false);
    }
  };
  if (!d) return machine.error ? <Problem error={machine.error} retry={machine.reload} /> : <Spinner size="large" />;
  const option = (s: string) => ({ value: s, label: s === "" ? tr("anyStatus") : statusText(s, t) });
  const from = spans.find(([id]) => id === since)?.[2];
  const listed = (runs.data?.items ?? []).filter((x) => from === undefined || x.startDate!.getTime() > Date.now() - from);
  const span = ([id, k]: (typeof spans)[number]) => ({ value: id, label: t(k) });
  const executions = express ? (
    <Empty title={tr("listedNot")} />
  ) : (
    <SpaceBetween size="m">
      <Problem error={runs.error} retry={runs.reload} />
      <List
        name="executions"
        label={t("executions")}
        items={listed}
        loading={runs.loading}
        trackBy={(x) => x.executionArn!}
        find="findExecutions"
        pageSize={20}
        text={(x) => `${x.name} ${x.status} ${x.stateMachineAliasArn ?? ""} ${x.stateMachineVersionArn ?? ""}`}
        header={
          <Header
            variant="h2"
            counter={runs.data && `(${listed.length}${runs.data.more ? "+" : ""})`}
            actions={
              <SpaceBetween direction="horizontal" size="xs">
                <Select ariaLabel={t("status")} selectedOption={option(status)} options={statuses.map(option)} onChange={(e) => setStatus(e.detail.selectedOption.value!)} />
                <Select ariaLabel={t("started")} selectedOption={span(spans.find(([id]) => id === since) ?? spans[0]!)} options={spans.map(span)} onChange={(e) => setSince(e.detail.selectedOption.value!)} />
                <Button iconName="refresh" ariaLabel={t("refresh")} onClick={runs.reload} loading={runs.loading} />
              </SpaceBetween>
            }
          >
            {t("executions")}
          </Header>
        }
        empty={
          status || from !== undefined ? (
            <Empty title={t("noMatches")}>
              <Button
                onClick={() => {
                  setStatus("");
                  setSince("");
                }}
              >{t("clearFilter")}</Button>
            </Empty>
          ) : (
            <Empty title={t("emptyExecutions")}>
              {tr("firstRun")}
              <Command text={`aws stepfunctions start-execution --state-machine-arn ${arn} --input '{}'`} />
              <Button onClick={() => setStarting(true)}>{t("startExecution")}</Button>
            </Empty>
          )
        }
        columns={[
          { id: "name", header: t("name"), cell: (x) => <Go href={to.execution(x.executionArn!)}>{x.name}</Go>, sortingField: "name", isRowHeader: true },
          { id: "status", header: t("status"), cell: (x) => <Status status={x.status} />, sortingField: "status", minWidth: 130 },
          { id: "version", header: tr("version"), cell: (x) => (x.stateMachineAliasArn ?? x.stateMachineVersionArn)?.split(":")[7] ?? "–" },
          { id: "started", header: t("started"), cell: (x) => time(x.startDate), sortingField: "startDate", minWidth: 180 },
          { id: "duration", header: t("duration"), cell: (x) => duration(x.startDate, x.stopDate, t) },
        ]}
      />
    </SpaceBetween>
  );
  const part = (id: string, label: string, content: React.ReactNode) => ({ id, label, content, disabled: draft !== undefined && id !== "definition" });
  return (
    <ContentLayout
      header={
        <Header
          variant="h1"
          actions={
            <SpaceBetween direction="horizontal" size="xs">
              {draft === undefined ? (
                <ButtonDropdown items={[{ id: "delete", text: tr("deleteMachine") }]} onItemClick={() => setDeleting(true)}>
                  {tr("actions")}
                </ButtonDropdown>
              ) : (
                <Button variant="link" onClick={() => setDraft(undefined)}>
                  {t("cancel")}
                </Button>
              )}
              {draft === undefined ? (
                <Button onClick={() => setDraft(d.definition)}>{t("edit")}</Button>
              ) : (
                <Button onClick={() => void save()} loading={saving} disabled={draft === d.definition}>
                  {t("save")}
                </Button>
              )}
              <Button variant="primary" onClick={() => setStarting(true)} disabled={draft !== undefined}>
                {t("startExecution")}
              </Button>
            </SpaceBetween>
          }
        >
          {d.name}
        </Header>
      }
    >
      <SpaceBetween size="m">
        {saved && <Flashbar items={[{ type: "success", content: saved, dismissible: true, onDismiss: () => setSaved("") }]} />}
        <Problem error={failed} />
        <Container>
          <SpaceBetween size="s">
            <KeyValuePairs
              columns={4}
              items={[
                { label: t("type"), value: d.type },
                { label: t("created"), value: time(d.creationDate) },
              ]}
            />
            <Ids
              items={[
                [t("arn"), d.stateMachineArn],
                [t("role"), d.roleArn, to.iam("role", d.roleArn!.split("/").pop()!)],
              ]}
            />
          </SpaceBetween>
        </Container>
        <Tabs
          ariaLabel={d.name}
          activeTabId={tab}
          onChange={(e) => setQuery(put((q) => q.set("tab", e.detail.activeTabId)), { replace: true })}
          tabs={[
            part("executions", tr("executions"), executions),
            part(
              "definition",
              tr("definition"),
              <Workbench value={draft ?? d.definition!} onChange={(v) => draft !== undefined && setDraft(v)} express={express} readOnly={draft === undefined} role={d.roleArn} key={draft === undefined ? "read" : "edit"} />,
            ),
            part(
              "configuration",
              tr("configuration"),
              <Config
                d={d}
                onSaved={() => {
                  setSaved(tr("savedConfig"));
                  machine.reload();
                }}
              />,
            ),
            part("versions", tr("versions"), <Versions arn={arn} what="versions" revisionId={d.revisionId} />),
            part("aliases", tr("aliases"), <Versions arn={arn} what="aliases" />),
            part("tags", tr("tags"), <Tags arn={arn} />),
          ]}
        />
      </SpaceBetween>
      {starting && (
        <StartExecution
          machine={arn}
          express={express}
          targets={[...(others.data?.aliases ?? []).map((a) => ({ arn: a.arn, label: a.name })), ...(others.data?.versions ?? []).map((v) => ({ arn: v.stateMachineVersionArn!, label: v.stateMachineVersionArn!.split(":")[7]! }))]}
          onDismiss={() => setStarting(false)}
        />
      )}
      {deleting && (
        <Ask
          title={tr("deleteTitle", { name: d.name! })}
          act={tr("delete")}
          onDismiss={() => setDeleting(false)}
          onAct={async () => {
            const { m, c } = await sfn();
            await c.send(new m.DeleteStateMachineCommand({ stateMachineArn: arn }));
            go("/state-machines");
          }}
        >
          {tr("deleteWhat")}
        </Ask>
      )}
    </ContentLayout>
  );
}
