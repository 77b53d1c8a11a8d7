import { useState } from "react";
import { useLocation } from "wouter";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import ContentLayout from "@cloudscape-design/components/content-layout";
import Header from "@cloudscape-design/components/header";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import Spinner from "@cloudscape-design/components/spinner";
import { bedrock } from "../aws/clients";
import { current } from "../aws/session";
import { lookup } from "../aws/trail";
import { useLoad } from "../app/load";
import { Code, Copy, Ids, Problem, to } from "../app/parts";
import RegionMap from "../app/Regions";
import { denied, inference } from "../model/inference";
import { destinations, flows, grants, inRegion, kindOf, regionOf, sources, traffic as counted } from "../model/profile";
import { useI18n } from "../i18n";
import { useTexts } from "../i18n/page";
import texts from "../i18n/pages/bedrock";
import OwnProfile from "./OwnProfile";
import Grantees from "./Grantees";
import Traffic from "./Traffic";

const day = 24 * 3600_000;

export default function Profile({ id }: { id: string }) {
  const { t, time } = useI18n();
  const say = useTexts(texts);
  const [, go] = useLocation();
  const [owning, own] = useState(false);
  const region = current().region;
  const { data, error, reload } = useLoad(async (abortSignal) => {
    const { m, c } = await bedrock();
    return c.send(new m.GetInferenceProfileCommand({ inferenceProfileIdentifier: id }), { abortSignal });
  }, [id]);
  const traffic = useLoad(
    async (signal) => {
      if (!data) return undefined;
      const from = sources({ id, arn: data.inferenceProfileArn!, models: (data.models ?? []).map((x) => x.modelArn!) }, region, data.type);
      // A Region's calls are in its own trail. Where one of them cannot be read, the others still say something.
      const found = await Promise.allSettled(from.map((r) => lookup({ key: "ResourceName", value: inRegion(data.inferenceProfileArn!, r), start: new Date(Date.now() - day) }, 10, signal, r)));
      const first = found[0]!;
      if (first.status === "rejected") throw first.reason;
      const records = found.flatMap((f) => (f.status === "fulfilled" ? f.value.items : [])).filter(inference);
      return { records, from: from.filter((r, i) => r === region || (found[i]!.status === "fulfilled" && records.some((x) => x.region === r))), read: from.filter((_, i) => found[i]!.status === "fulfilled") };
    },
    [data?.inferenceProfileArn],
  );
  if (!data) return error ? <Problem error={error} retry={reload} /> : <Spinner size="large" />;
  const p = { id: data.inferenceProfileId!, arn: data.inferenceProfileArn!, models: (data.models ?? []).map((x) => x.modelArn!) };
  const application = data.type === "APPLICATION";
  const records = traffic.data?.records ?? [];
  const refusals = records.filter((r) => denied(r.errorCode));
  const refusedIn = Object.fromEntries((traffic.data?.from ?? []).map((r) => [r, refusals.filter((x) => x.region === r).length]));
  const policy = JSON.stringify(grants(p, region), null, 2);
  return (
    <ContentLayout
      header={
        <Header
          variant="h1"
          description={data.description}
          actions={
            <SpaceBetween direction="horizontal" size="xs">
              <Button onClick={() => own(true)}>{say(application ? "deleteProfile" : "copyProfile")}</Button>
              <Button variant="primary" onClick={() => go(to.playground(application ? p.arn : p.id))}>
                {t("openPlayground")}
              </Button>
            </SpaceBetween>
          }
        >
          {data.inferenceProfileName}
        </Header>
      }
    >
      <SpaceBetween size="m">
        <Container>
          <SpaceBetween size="s">
          <KeyValuePairs
            columns={4}
            items={[
              { label: t("type"), value: t(kindOf({ id: p.id, type: data.type })) },
              { label: t("status"), value: data.status },
              { label: t("destinations"), value: destinations(p).map((r) => r || t("anyRegion")).join(", ") },
              ...(data.createdAt ? [{ label: t("created"), value: time(data.createdAt) }] : []),
            ]}
          />
          <Ids items={[[t("profileId"), p.id], [t("arn"), p.arn], ...p.models.map((a): [string, string] => [p.models.length > 1 ? `${t("model")} (${regionOf(a) || t("anyRegion")})` : t("model"), a])]} />
          </SpaceBetween>
        </Container>
        <Container header={<Header variant="h2" description={t("profileTrafficHint", { region: (traffic.data?.read ?? [region]).join(", ") })}>{t("profileTraffic")}</Header>}>
          {traffic.error !== undefined ? (
            <Problem error={traffic.error} retry={traffic.reload} />
          ) : !traffic.data ? (
            <Spinner />
          ) : (
            <SpaceBetween size="m">
              <RegionMap sources={traffic.data.from} flows={flows(records)} total={counted(records)} all={destinations(p)} denied={refusedIn} />
              {traffic.data.from.length > 1 && <Traffic flows={flows(records)} />}
              {refusals.length > 0 && <StatusIndicator type="error">{say("refused", { n: refusals.length })}</StatusIndicator>}
            </SpaceBetween>
          )}
        </Container>
        <Container header={<Header variant="h2" description={t("grantsHint", { region })} actions={<Copy text={policy} label={t("copy")} />}>{t("grantsTitle")}</Header>}>
          <Code text={policy} />
        </Container>
        <Grantees profile={p} key={p.arn} />
      </SpaceBetween>
      {owning && <OwnProfile name={data.inferenceProfileName!} arn={p.arn} remove={application} onDismiss={() => own(false)} />}
    </ContentLayout>
  );
}
