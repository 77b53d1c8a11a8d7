import { useLocation } from "wouter";
import Button from "@cloudscape-design/components/button";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { sfn } from "../aws/clients";
import { current } from "../aws/session";
import { pages, useLoad } from "../app/load";
import { Command, Empty, Go, Problem, to } from "../app/parts";
import List from "../app/table";
import { useI18n } from "../i18n";

export default function Machines() {
  const { t, time } = useI18n();
  const [, go] = useLocation();
  const { data, error, loading, reload } = useLoad(async (abortSignal) => {
    const { m, c } = await sfn();
    return pages(20, async (nextToken) => {
      const r = await c.send(new m.ListStateMachinesCommand({ maxResults: 1000, nextToken }), { abortSignal });
      return { items: r.stateMachines ?? [], next: r.nextToken };
    });
  }, []);
  const create = (
    <Button variant="primary" onClick={() => go("/state-machines/create")}>
      {t("create")}
    </Button>
  );
  return (
    <SpaceBetween size="m">
      <Problem error={error} retry={reload} />
      <List
        name="machines"
        label={t("stateMachines")}
        items={data?.items ?? []}
        loading={loading}
        trackBy={(m) => m.stateMachineArn!}
        find="findMachines"
        variant="full-page"
        sort={{ id: "created", descending: true }}
        text={(m) => `${m.name} ${m.type}`}
        header={
          <Header
            variant="h1"
            counter={data && `(${data.items.length}${data.more ? "+" : ""})`}
            actions={
              <SpaceBetween direction="horizontal" size="xs">
                <Button iconName="refresh" ariaLabel={t("refresh")} onClick={reload} loading={loading} />
                {create}
              </SpaceBetween>
            }
          >
            {t("stateMachines")}
          </Header>
        }
        empty={
          <Empty title={t("emptyMachines", { region: current().region })}>
            {t("emptyMachinesHint")}
            <Command text="aws stepfunctions create-state-machine --name hello --role-arn ROLE_ARN --definition file://hello.asl.json" />
            {create}
          </Empty>
        }
        columns={[
          { id: "name", header: t("name"), cell: (m) => <Go href={to.machine(m.stateMachineArn!)}>{m.name}</Go>, sortingField: "name", isRowHeader: true },
          { id: "type", header: t("type"), cell: (m) => m.type, sortingField: "type" },
          { id: "created", header: t("created"), cell: (m) => time(m.creationDate), sortingField: "creationDate" },
        ]}
      />
    </SpaceBetween>
  );
}
