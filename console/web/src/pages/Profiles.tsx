import Badge from "@cloudscape-design/components/badge";
import Button from "@cloudscape-design/components/button";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useSearchParams } from "wouter";
import { bedrock } from "../aws/clients";
import { pages, useLoad } from "../app/load";
import { Copy, Empty, Go, Problem, to } from "../app/parts";
import List from "../app/table";
import { destinations, kindOf, modelId } from "../model/profile";
import { useI18n } from "../i18n";

// all lists the profiles of one kind or of both.
export async function profiles(abortSignal?: AbortSignal) {
  const { m, c } = await bedrock();
  const of = (typeEquals: "SYSTEM_DEFINED" | "APPLICATION") =>
    pages(10, async (nextToken) => {
      const r = await c.send(new m.ListInferenceProfilesCommand({ maxResults: 1000, typeEquals, nextToken }), { abortSignal });
      return { items: r.inferenceProfileSummaries ?? [], next: r.nextToken };
    });
  const [system, application] = await Promise.all([of("SYSTEM_DEFINED"), of("APPLICATION")]);
  return [...application.items, ...system.items].map((s) => ({
    id: s.inferenceProfileId!,
    arn: s.inferenceProfileArn!,
    name: s.inferenceProfileName!,
    type: s.type as string,
    models: (s.models ?? []).map((x) => x.modelArn!),
  }));
}

export default function Profiles() {
  const { t } = useI18n();
  const [query, setQuery] = useSearchParams();
  const of = query.get("find");
  const { data, error, loading, reload } = useLoad(profiles, []);
  const items = (data ?? []).filter((p) => !of || p.models.some((a) => modelId(a) === of));
  return (
    <SpaceBetween size="m">
      <Problem error={error} retry={reload} />
      <List
        name="profiles"
        label={t("profiles")}
        items={items}
        loading={loading}
        trackBy={(p) => p.arn}
        find="findProfiles"
        variant="full-page"
        text={(p) => `${p.name} ${p.id} ${destinations(p).join(" ")}`}
        header={
          <Header
            variant="h1"
            description={t("profilesHint")}
            counter={data && `(${items.length})`}
            actions={
              <SpaceBetween direction="horizontal" size="xs">
                {of && <Button onClick={() => setQuery({})}>{`${t("clearFilter")}: ${of}`}</Button>}
                <Button iconName="refresh" ariaLabel={t("refresh")} onClick={reload} loading={loading} />
              </SpaceBetween>
            }
          >
            {t("profiles")}
          </Header>
        }
        empty={<Empty title={t("noMatches")} />}
        columns={[
          { id: "name", header: t("name"), cell: (p) => <Go href={to.profile(p.id)}>{p.name}</Go>, sortingField: "name", isRowHeader: true },
          { id: "type", header: t("type"), cell: (p) => t(kindOf(p)), sortingField: "type" },
          {
            id: "id",
            header: t("profileId"),
            cell: (p) => (
              <span className="arn">
                <Copy text={p.id} /> {p.id}
              </span>
            ),
            sortingField: "id",
            minWidth: 220,
          },
          {
            id: "destinations",
            header: t("destinations"),
            minWidth: 200,
            cell: (p) => (
              <SpaceBetween direction="horizontal" size="xxs">
                {destinations(p).map((r) => (
                  <Badge key={r}>{r || t("anyRegion")}</Badge>
                ))}
              </SpaceBetween>
            ),
          },
          { id: "actions", header: t("actions"), cell: (p) => <Go href={to.playground(p.type === "APPLICATION" ? p.arn : p.id)}>{t("openPlayground")}</Go> },
        ]}
      />
    </SpaceBetween>
  );
}
