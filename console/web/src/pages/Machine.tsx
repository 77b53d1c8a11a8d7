import { lazy, Suspense, useState } from "react";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import ContentLayout from "@cloudscape-design/components/content-layout";
import Flashbar from "@cloudscape-design/components/flashbar";
import Header from "@cloudscape-design/components/header";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Spinner from "@cloudscape-design/components/spinner";
import { noteError, sfn } from "../aws/clients";
import { pages, useLoad } from "../app/load";
import { Arn, duration, Empty, Go, Problem, Status, to } from "../app/parts";
import List from "../app/table";
import { useI18n } from "../i18n";
import StartExecution from "./StartExecution";

const Workbench = lazy(() => import("../editor/Workbench"));

export default function Machine({ arn }: { arn: string }) {
  const { t, time } = useI18n();
  const [starting, setStarting] = useState(false);
  const [draft, setDraft] = useState<string>(); // while it is edited
  const [saving, setSaving] = useState(false);
  const [saved, setSaved] = useState(false);
  const [failed, setFailed] = useState<unknown>();
  const machine = useLoad(async (abortSignal) => {
    const { m, c } = await sfn();
    return c.send(new m.DescribeStateMachineCommand({ stateMachineArn: arn }), { abortSignal });
  }, [arn]);
  const runs = useLoad(
    async (abortSignal) => {
      if (machine.data?.type !== "STANDARD") return undefined; // Express executions are not listed
      const { m, c } = await sfn();
      return pages(5, async (nextToken) => {
        const r = await c.send(new m.ListExecutionsCommand({ stateMachineArn: arn, maxResults: 200, nextToken }), { abortSignal });
        return { items: r.executions ?? [], next: r.nextToken };
      });
    },
    [arn, machine.data?.type],
    (d) => (d?.items.some((x) => x.status === "RUNNING") ? 3000 : undefined),
  );
  const d = machine.data;
  const save = async () => {
    setSaving(true);
    setFailed(undefined);
    try {
      const { m, c } = await sfn();
      await c.send(new m.UpdateStateMachineCommand({ stateMachineArn: arn, definition: draft }));
      setDraft(undefined);
      setSaved(true);
      machine.reload();
    } catch (e) {
      noteError(e);
      setFailed(e);
    } finally {
      setSaving(false);
    }
  };
  if (!d) return machine.error ? <Problem error={machine.error} retry={machine.reload} /> : <Spinner size="large" />;
  return (
    <ContentLayout
      header={
        <Header
          variant="h1"
          actions={
            <SpaceBetween direction="horizontal" size="xs">
              {draft === undefined ? (
                <Button onClick={() => setDraft(d.definition)}>{t("edit")}</Button>
              ) : (
                <>
                  <Button variant="link" onClick={() => setDraft(undefined)}>
                    {t("cancel")}
                  </Button>
                  <Button onClick={() => void save()} loading={saving} disabled={draft === d.definition}>
                    {t("save")}
                  </Button>
                </>
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
        {saved && <Flashbar items={[{ type: "success", content: t("saved"), dismissible: true, onDismiss: () => setSaved(false) }]} />}
        <Problem error={failed} />
        <Container>
          <KeyValuePairs
            columns={4}
            items={[
              { label: t("arn"), value: <Arn arn={d.stateMachineArn} /> },
              { label: t("role"), value: <Arn arn={d.roleArn} /> },
              { label: t("type"), value: d.type },
              { label: t("created"), value: time(d.creationDate) },
            ]}
          />
        </Container>
        {d.type === "STANDARD" && draft === undefined && (
          <>
            <Problem error={runs.error} retry={runs.reload} />
            <List
              label={t("executions")}
              items={runs.data?.items ?? []}
              loading={runs.loading}
              trackBy={(x) => x.executionArn!}
              find="findExecutions"
              pageSize={10}
              text={(x) => `${x.name} ${x.status}`}
              header={
                <Header
                  variant="h2"
                  counter={runs.data && `(${runs.data.items.length}${runs.data.more ? "+" : ""})`}
                  actions={<Button iconName="refresh" ariaLabel={t("refresh")} onClick={runs.reload} loading={runs.loading} />}
                >
                  {t("executions")}
                </Header>
              }
              empty={<Empty title={t("emptyExecutions")}>{t("emptyExecutionsHint")}</Empty>}
              columns={[
                { id: "name", header: t("name"), cell: (x) => <Go href={to.execution(x.executionArn!)}>{x.name}</Go>, sortingField: "name", isRowHeader: true },
                { id: "status", header: t("status"), cell: (x) => <Status status={x.status} />, sortingField: "status", minWidth: 130 },
                { id: "started", header: t("started"), cell: (x) => time(x.startDate), sortingField: "startDate", minWidth: 180 },
                { id: "duration", header: t("duration"), cell: (x) => duration(x.startDate, x.stopDate, t) },
              ]}
            />
          </>
        )}
        <Suspense fallback={<Spinner />}>
          <Workbench value={draft ?? d.definition!} onChange={(v) => draft !== undefined && setDraft(v)} express={d.type === "EXPRESS"} readOnly={draft === undefined} key={draft === undefined ? "read" : "edit"} />
        </Suspense>
      </SpaceBetween>
      {starting && <StartExecution machine={arn} onDismiss={() => setStarting(false)} />}
    </ContentLayout>
  );
}
