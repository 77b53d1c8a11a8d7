import Badge from "@cloudscape-design/components/badge";
import Button from "@cloudscape-design/components/button";
import Header from "@cloudscape-design/components/header";
import FormField from "@cloudscape-design/components/form-field";
import Select from "@cloudscape-design/components/select";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { bedrock } from "../aws/clients";
import { current, setRegion } from "../aws/session";
import { useParam } from "../app/address";
import { useLoad } from "../app/load";
import { Copy, Empty, Go, Problem, to } from "../app/parts";
import List from "../app/table";
import { regions } from "../model/regions";
import { useI18n, type Key } from "../i18n";
import { useTexts } from "../i18n/page";
import texts from "../i18n/pages/bedrock";

const types: Record<string, Key> = { ON_DEMAND: "onDemand", PROVISIONED: "provisioned", INFERENCE_PROFILE: "viaProfile" };

const life = (m: { modelLifecycle?: { status?: string; endOfLifeTime?: Date | string } }) => m.modelLifecycle?.status ?? "";

export default function Models() {
  const { t, locale } = useI18n();
  const day = new Intl.DateTimeFormat(locale, { dateStyle: "medium" });
  const say = useTexts(texts);
  const fields = { type: useParam("type"), status: useParam("status"), input: useParam("input") };
  const want = { type: fields.type[0], status: fields.status[0], input: fields.input[0] };
  const region = current().region;
  const { data, error, loading, reload } = useLoad(async (abortSignal) => {
    const { m, c } = await bedrock();
    return (await c.send(new m.ListFoundationModelsCommand({}), { abortSignal })).modelSummaries ?? [];
  }, []);
  const items = (data ?? []).filter((m) => (!want.type || ((m.inferenceTypesSupported ?? []) as string[]).includes(want.type)) && (!want.status || life(m) === want.status) && (!want.input || ((m.inputModalities ?? []) as string[]).includes(want.input)));
  const pick = (key: keyof typeof want, label: string, values: string[], show: (v: string) => string = (v) => v) => {
    const options = [{ value: "", label: say("any") }, ...[...new Set(values)].sort().map((value) => ({ value, label: show(value) }))];
    return (
      <FormField label={label}>
        <Select options={options} selectedOption={options.find((o) => o.value === want[key]) ?? options[0]!} onChange={(e) => fields[key][1](e.detail.selectedOption.value ?? "")} />
      </FormField>
    );
  };
  return (
    <SpaceBetween size="m">
      <Problem error={error} retry={reload} />
      <List
        name="models"
        label={t("models")}
        items={items}
        loading={loading}
        trackBy={(m) => m.modelId!}
        find="findModels"
        besides={
          <>
            <FormField label={t("region")}>
              <Select filteringType="auto" options={(regions.includes(region) ? regions : [region, ...regions]).map((value) => ({ value }))} selectedOption={{ value: region }} onChange={(e) => setRegion(e.detail.selectedOption.value!)} />
            </FormField>
            {pick("type", t("inferenceTypes"), (data ?? []).flatMap((m) => (m.inferenceTypesSupported ?? []) as string[]), (v) => (types[v] ? t(types[v]) : v))}
            {pick("input", say("input"), (data ?? []).flatMap((m) => (m.inputModalities ?? []) as string[]))}
            {pick("status", t("lifecycle"), (data ?? []).map(life).filter(Boolean))}
          </>
        }
        variant="full-page"
        sort={{ id: "provider" }}
        text={(m) => `${m.modelName} ${m.providerName} ${m.modelId}`}
        header={
          <Header
            variant="h1"
            description={t("modelsHint", { region })}
            counter={data && `(${items.length})`}
            actions={<Button iconName="refresh" ariaLabel={t("refresh")} onClick={reload} loading={loading} />}
          >
            {t("models")}
          </Header>
        }
        empty={<Empty title={t("noMatches")} />}
        columns={[
          { id: "name", header: t("model"), cell: (m) => m.modelName, sortingField: "modelName", isRowHeader: true },
          { id: "provider", header: t("provider"), cell: (m) => m.providerName, sortingField: "providerName" },
          {
            id: "id",
            header: t("modelId"),
            cell: (m) => (
              <span className="arn">
                <Copy text={m.modelId!} /> {m.modelId}
              </span>
            ),
            sortingField: "modelId",
            minWidth: 220,
          },
          {
            id: "types",
            header: t("inferenceTypes"),
            minWidth: 150,
            cell: (m) => (
              <SpaceBetween direction="horizontal" size="xxs">
                {(m.inferenceTypesSupported ?? []).map((x) => (
                  <Badge key={x} color={x === "ON_DEMAND" ? "green" : "blue"}>
                    {types[x] ? t(types[x]) : x}
                  </Badge>
                ))}
              </SpaceBetween>
            ),
          },
          { id: "modalities", header: t("modalities"), cell: (m) => ((m.inputModalities ?? []).length + (m.outputModalities ?? []).length ? `${(m.inputModalities ?? []).join(", ")} → ${(m.outputModalities ?? []).join(", ")}` : "–") },
          { id: "lifecycle", header: t("lifecycle"), cell: (m) => (life(m) === "LEGACY" ? <StatusIndicator type="warning">{m.modelLifecycle?.endOfLifeTime ? say("until", { time: day.format(new Date(m.modelLifecycle.endOfLifeTime)) }) : "LEGACY"}</StatusIndicator> : life(m)), minWidth: 120, sortingComparator: (a, b) => String(a.modelLifecycle?.status).localeCompare(String(b.modelLifecycle?.status)) },
          {
            id: "actions",
            header: t("actions"),
            cell: (m) =>
              ((x) =>
                x.includes("ON_DEMAND") && m.responseStreamingSupported ? (
                  <Go href={to.playground(m.modelId)}>{t("openPlayground")}</Go>
                ) : x.includes("INFERENCE_PROFILE") ? (
                  <Go href={"/profiles?find=" + encodeURIComponent(m.modelId!)}>{t("profiles")}</Go>
                ) : (
                  "–"
                ))((m.inferenceTypesSupported ?? []) as string[]),
          },
        ]}
      />
    </SpaceBetween>
  );
}
