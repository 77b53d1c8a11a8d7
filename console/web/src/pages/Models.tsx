import Badge from "@cloudscape-design/components/badge";
import Button from "@cloudscape-design/components/button";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { bedrock } from "../aws/clients";
import { current } from "../aws/session";
import { useLoad } from "../app/load";
import { Copy, Empty, Go, Problem, to } from "../app/parts";
import List from "../app/table";
import { useI18n, type Key } from "../i18n";

const types: Record<string, Key> = { ON_DEMAND: "onDemand", PROVISIONED: "provisioned", INFERENCE_PROFILE: "viaProfile" };

export default function Models() {
  const { t } = useI18n();
  const { data, error, loading, reload } = useLoad(async (abortSignal) => {
    const { m, c } = await bedrock();
    return (await c.send(new m.ListFoundationModelsCommand({}), { abortSignal })).modelSummaries ?? [];
  }, []);
  return (
    <SpaceBetween size="m">
      <Problem error={error} retry={reload} />
      <List
        label={t("models")}
        items={data ?? []}
        loading={loading}
        trackBy={(m) => m.modelId!}
        find="findModels"
        variant="full-page"
        sort={{ id: "provider" }}
        text={(m) => `${m.modelName} ${m.providerName} ${m.modelId}`}
        header={
          <Header
            variant="h1"
            description={t("modelsHint", { region: current().region })}
            counter={data && `(${data.length})`}
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
          },
          {
            id: "types",
            header: t("inferenceTypes"),
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
          { id: "modalities", header: t("modalities"), cell: (m) => `${(m.inputModalities ?? []).join(", ")} → ${(m.outputModalities ?? []).join(", ")}` },
          { id: "lifecycle", header: t("lifecycle"), cell: (m) => m.modelLifecycle?.status, sortingComparator: (a, b) => String(a.modelLifecycle?.status).localeCompare(String(b.modelLifecycle?.status)) },
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
