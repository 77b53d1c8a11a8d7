import { useState } from "react";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import ColumnLayout from "@cloudscape-design/components/column-layout";
import Container from "@cloudscape-design/components/container";
import ContentLayout from "@cloudscape-design/components/content-layout";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Spinner from "@cloudscape-design/components/spinner";
import { noteError, sfn } from "../aws/clients";
import { useParam } from "../app/address";
import { pages, useLoad } from "../app/load";
import { duration, Empty, Go, Ids, Problem, Status, statusText, to } from "../app/parts";
import List from "../app/table";
import { useI18n } from "../i18n";
import { useTexts } from "../i18n/page";
import runTexts from "../i18n/pages/run";
import "./run/run.css";

const pollMs = 2000;

export default function MapRun({ arn }: { arn: string }) {
  const { t, time, number } = useI18n();
  const tr = useTexts(runTexts);
  const [edit, setEdit] = useState<{ maxConcurrency: string; count: string; percentage: string }>();
  const [error, setError] = useState<unknown>();
  const [status, setStatus] = useParam("status");
  const run = useLoad(
    async (abortSignal) => {
      const { m, c } = await sfn();
      return c.send(new m.DescribeMapRunCommand({ mapRunArn: arn }), { abortSignal });
    },
    [arn],
    (d) => (d.status === "RUNNING" ? pollMs : undefined),
  );
  const r = run.data;
  const moving = r?.status === "RUNNING" ? (r.itemCounts?.succeeded ?? 0) + (r.itemCounts?.failed ?? 0) + (r.itemCounts?.running ?? 0) : -1;
  const children = useLoad(
    async (abortSignal) => {
      const { m, c } = await sfn();
      return pages(5, async (nextToken) => {
        const l = await c.send(new m.ListExecutionsCommand({ mapRunArn: arn, maxResults: 200, nextToken, statusFilter: (status || undefined) as never }), { abortSignal });
        return { items: l.executions ?? [], next: l.nextToken };
      });
    },
    [arn, status, moving],
  );
  if (!r) return run.error ? <Problem error={run.error} retry={run.reload} /> : <Spinner size="large" />;
  const n = r.itemCounts;
  const done = (n?.succeeded ?? 0) + (n?.failed ?? 0) + (n?.timedOut ?? 0) + (n?.aborted ?? 0);
  const all = n?.total ?? 0;
  const save = async () => {
    setError(undefined);
    try {
      const { m, c } = await sfn();
      await c.send(new m.UpdateMapRunCommand({ mapRunArn: arn, maxConcurrency: Number(edit!.maxConcurrency), toleratedFailureCount: Number(edit!.count), toleratedFailurePercentage: Number(edit!.percentage) }));
      setEdit(undefined);
      run.reload();
    } catch (e) {
      noteError(e);
      setError(e);
    }
  };
  const statuses = ["", "RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "PENDING_REDRIVE"];
  const option = (s: string) => ({ value: s, label: s === "" ? tr("anyStatus") : statusText(s, t) });
  const share = (k: number | undefined) => ({ width: `${all ? (100 * (k ?? 0)) / all : 0}%` });
  const field = (k: "maxConcurrency" | "count" | "percentage", label: string, hint?: string) => (
    <FormField label={label} description={hint}>
      <Input type="number" value={edit![k]} onChange={(e) => setEdit({ ...edit!, [k]: e.detail.value })} />
    </FormField>
  );
  return (
    <ContentLayout
      header={
        <Header
          variant="h1"
          description={tr("mapRunHint")}
          actions={
            r.status === "RUNNING" &&
            !edit && (
              <Button onClick={() => setEdit({ maxConcurrency: String(r.maxConcurrency ?? 0), count: String(r.toleratedFailureCount ?? 0), percentage: String(r.toleratedFailurePercentage ?? 0) })}>{tr("editRun")}</Button>
            )
          }
        >
          {tr("mapRunTitle")}
        </Header>
      }
    >
      <SpaceBetween size="m">
        <Problem error={run.error ?? error} retry={run.error ? run.reload : undefined} />
        <Container>
          <SpaceBetween size="m">
            <KeyValuePairs
              columns={4}
              items={[
                { label: t("status"), value: <Status status={r.status} /> },
                { label: t("started"), value: time(r.startDate) },
                { label: t("duration"), value: duration(r.startDate, r.stopDate, t) },
                { label: tr("executionOf"), value: <Go href={to.execution(r.executionArn!)}>{r.executionArn!.split(":").pop()}</Go> },
                { label: tr("maxConcurrency"), value: number(r.maxConcurrency ?? 0) },
                { label: tr("toleratedCount"), value: number(r.toleratedFailureCount ?? 0) },
                { label: tr("toleratedPercentage"), value: number(r.toleratedFailurePercentage ?? 0) },
              ]}
            />
            <Ids items={[[t("arn"), r.mapRunArn]]} />
            {edit && (
              <ColumnLayout columns={3}>
                {field("maxConcurrency", tr("maxConcurrency"), tr("maxConcurrencyHint"))}
                {field("count", tr("toleratedCount"))}
                {field("percentage", tr("toleratedPercentage"))}
                <SpaceBetween direction="horizontal" size="xs">
                  <Button variant="primary" onClick={() => void save()}>
                    {tr("saveRun")}
                  </Button>
                  <Button variant="link" onClick={() => setEdit(undefined)}>
                    {t("cancel")}
                  </Button>
                </SpaceBetween>
              </ColumnLayout>
            )}
          </SpaceBetween>
        </Container>
        <Container header={<Header variant="h2" counter={`(${tr("progress", { done: number(done), all: number(all) })})`}>{tr("itemProgress")}</Header>}>
          <SpaceBetween size="m">
            <div className="gauge" role="img" aria-label={tr("progress", { done, all })}>
              <i className="ok" style={share(n?.succeeded)} />
              <i className="bad" style={share((n?.failed ?? 0) + (n?.timedOut ?? 0))} />
              <i className="off" style={share(n?.aborted)} />
              <i className="run" style={share(n?.running)} />
            </div>
            <KeyValuePairs
              columns={4}
              items={(["pending", "running", "succeeded", "failed", "timedOut", "aborted"] as const)
                .map((k) => ({ label: tr(k), value: number(n?.[k] ?? 0) }))
                .concat([
                  { label: tr("written"), value: number(n?.resultsWritten ?? 0) },
                  { label: tr("failurePendingRedrive"), value: number(n?.pendingRedrive ?? 0) },
                ])}
            />
          </SpaceBetween>
        </Container>
        <Problem error={children.error} retry={children.reload} />
        <List
          name="children"
          label={tr("children")}
          items={children.data?.items ?? []}
          loading={children.loading}
          trackBy={(x) => x.executionArn!}
          find="findExecutions"
          text={(x) => `${x.name} ${x.status}`}
          header={
            <Header
              variant="h2"
              counter={children.data && `(${children.data.items.length}${children.data.more ? "+" : ""})`}
              actions={<Select ariaLabel={t("status")} selectedOption={option(status)} options={statuses.map(option)} onChange={(e) => setStatus(e.detail.selectedOption.value!)} />}
            >
              {tr("children")}
            </Header>
          }
          empty={<Empty title={tr("noChildren")}><Box>{tr("mapRunHint")}</Box></Empty>}
          columns={[
            { id: "name", header: t("name"), cell: (x) => <Go href={to.execution(x.executionArn!)}>{x.name}</Go>, isRowHeader: true },
            { id: "status", header: t("status"), cell: (x) => <Status status={x.status} />, minWidth: 130 },
            { id: "items", header: tr("itemsTotal"), cell: (x) => number(x.itemCount ?? 0) },
            { id: "started", header: t("started"), cell: (x) => time(x.startDate), sortingField: "startDate", minWidth: 180 },
            { id: "duration", header: t("duration"), cell: (x) => duration(x.startDate, x.stopDate, t) },
          ]}
        />
      </SpaceBetween>
    </ContentLayout>
  );
}
