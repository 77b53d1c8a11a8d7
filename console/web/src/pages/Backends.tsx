import Alert from "@cloudscape-design/components/alert";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import Spinner from "@cloudscape-design/components/spinner";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import Table from "@cloudscape-design/components/table";
import { bedrock } from "../aws/clients";
import { backends } from "../aws/rest";
import { useLoad, type Loaded } from "../app/load";
import { Problem } from "../app/parts";
import { useI18n } from "../i18n";
import { useTexts } from "../i18n/page";
import texts from "../i18n/pages/bedrock";

const asked = 6; // models
const every = 60_000;
const few = 6; // Regions that are named

type Backend = { name: string; type: string; simulated: boolean; down: boolean; models: Set<string>; regions: Set<string> };

// useBackends asks what the models that were used run on.
export const useBackends = (used: readonly string[] | undefined) =>
  useLoad(
    async (abortSignal) => {
      if (!used) return undefined;
      const { m, c } = await bedrock();
      const here = (await c.send(new m.ListFoundationModelsCommand({}), { abortSignal })).modelSummaries ?? [];
      const known = used.filter((u) => here.some((h) => h.modelId === u));
      // one model of each provider stands for the rest where nothing was asked yet
      const others = here.filter((h, i) => here.findIndex((x) => x.providerName === h.providerName) === i).map((h) => h.modelId!);
      const ids = [...new Set([...known, ...others])].slice(0, asked);
      const all = await Promise.all(ids.map(async (id) => ({ id, list: await backends(id, abortSignal) })));
      if (all.every((x) => x.list === undefined)) return null;
      const by = new Map<string, Backend>();
      for (const { id, list } of all)
        for (const b of list ?? []) {
          const x = by.get(b.name) ?? { name: b.name, type: b.type, simulated: b.simulated, down: false, models: new Set(), regions: new Set() };
          x.down ||= b.status !== "AVAILABLE";
          x.models.add(id);
          x.regions.add(b.region);
          by.set(b.name, x);
        }
      return [...by.values()];
    },
    [used?.join(" ")],
    () => every,
  );

// Simulated says plainly that answers are made up, where they are.
export function Simulated({ all }: { all: readonly Backend[] }) {
  const say = useTexts(texts);
  const made = all.filter((b) => b.simulated);
  if (made.length === 0) return null;
  return made.length === all.length ? (
    <Alert type="warning" header={say("allSimulated")}>
      {say("allSimulatedHint")}
    </Alert>
  ) : (
    <Alert type="warning">{say("someSimulated", { models: made.flatMap((b) => [...b.models]).join(", ") })}</Alert>
  );
}

export default function Backends({ data, error, reload }: Loaded<Backend[] | null | undefined>) {
  const { t } = useI18n();
  const say = useTexts(texts);
  if (data === undefined) return error ? <Problem error={error} retry={reload} /> : <Spinner />;
  if (data === null) return <Container header={<Header variant="h2">{say("backends")}</Header>}>{say("unknownBackends")}</Container>;
  return (
    <Table
      header={<Header variant="h2" description={say("backendsHint")}>{say("backends")}</Header>}
      items={data}
      trackBy="name"
      wrapLines
      enableKeyboardNavigation
      ariaLabels={{ tableLabel: say("backends") }}
      columnDefinitions={[
        { id: "name", header: say("backend"), isRowHeader: true, cell: (b) => b.name, minWidth: 110 },
        { id: "state", header: say("state"), minWidth: 140, cell: (b) => (b.simulated ? <StatusIndicator type="warning">{say("simulated")}</StatusIndicator> : <StatusIndicator type={b.down ? "error" : "success"}>{say(b.down ? "unreachable" : "reachable")}</StatusIndicator>) },
        { id: "type", header: say("kind"), cell: (b) => b.type },
        { id: "models", header: say("models"), minWidth: 200, cell: (b) => <span className="arn">{[...b.models].join(", ")}</span> },
        { id: "regions", header: say("regions"), minWidth: 160, cell: (b) => <span title={[...b.regions].sort().join(", ")}>{b.regions.size > few ? t("regionsN", { n: b.regions.size }) : [...b.regions].sort().join(", ")}</span> },
      ]}
    />
  );
}
